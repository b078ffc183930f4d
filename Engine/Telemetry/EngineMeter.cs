using System.Diagnostics.Metrics;

namespace Tessera.Engine.Telemetry;

/// <summary>What only the engine can measure as it happens. Recording costs next to nothing while nobody listens.</summary>
public sealed class EngineMeter : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Tessera.Engine";

    /// <summary>Name of the histogram of seconds between two tokens of one response.</summary>
    public const string InterTokenTimeName = "tessera.inter_token_time";

    /// <summary>Name of the histogram of seconds of one step.</summary>
    public const string StepTimeName = "tessera.step_time";

    private readonly Histogram<double> _interTokenTime;
    private readonly Histogram<double> _stepTime;

    /// <summary>Creates the meter of one engine.</summary>
    public EngineMeter()
    {
        Meter = new Meter(new MeterOptions(MeterName));
        _interTokenTime = Meter.CreateHistogram(
            InterTokenTimeName, "s", "Time between two generated tokens of one response, latents and control tokens included.", advice: Buckets(TokenSeconds));
        _stepTime = Meter.CreateHistogram(StepTimeName, "s", "Time of one step of the model, all sequences together.", advice: Buckets(TokenSeconds));
    }

    /// <summary>The meter, for whoever listens to one engine alone.</summary>
    public Meter Meter { get; }

    /// <inheritdoc/>
    public void Dispose() => Meter.Dispose();

    /// <summary>A token came so long after the one before.</summary>
    internal void RecordInterTokenTime(TimeSpan time) => _interTokenTime.Record(time.TotalSeconds);

    /// <summary>A step took so long.</summary>
    internal void RecordStep(TimeSpan time) => _stepTime.Record(time.TotalSeconds);

    // Half a millisecond is a small model on a GPU, ten seconds a stall.
    private static readonly double[] TokenSeconds = [.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 10];

    private static InstrumentAdvice<double> Buckets(double[] boundaries) => new() { HistogramBucketBoundaries = boundaries };
}
