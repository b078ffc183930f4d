using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Measurement;

/// <summary>One request on the time axis of its phase, in seconds since the phase's start.</summary>
/// <param name="Intended">When it was to be sent.</param>
/// <param name="Sent">When it was sent.</param>
/// <param name="Ended">When it ended, however.</param>
/// <param name="Outcome">Its outcome.</param>
public readonly record struct TimedRequest(double Intended, double Sent, double Ended, RequestOutcome Outcome);

/// <summary>A step function of time.</summary>
/// <param name="Seconds">Times of change, ascending.</param>
/// <param name="Values">Value from each time on.</param>
public sealed record StepSeries(IReadOnlyList<double> Seconds, IReadOnlyList<int> Values);

/// <summary>What happened when within one phase.</summary>
public sealed class Timeline
{
    /// <summary>Lays out the requests of a phase, interrupted ones included: they were a load too.</summary>
    /// <param name="phase">The phase.</param>
    /// <param name="ticksPerSecond">Frequency of the clock's timestamps.</param>
    public Timeline(PhaseResult phase, long ticksPerSecond)
    {
        ArgumentNullException.ThrowIfNull(phase);
        Seconds = phase.Duration.TotalSeconds;
        Requests =
        [
            .. phase.Outcomes.OfType<RequestOutcome>()
                .Select(outcome =>
                {
                    var intended = (double)(outcome.IntendedTimestamp - phase.Start) / ticksPerSecond;
                    return new TimedRequest(
                        Rounded(intended), Rounded(intended + outcome.SendDelay.TotalSeconds), Rounded(intended + outcome.EndToEnd.TotalSeconds), outcome);
                })
                .OrderBy(request => request.Sent),
        ];
    }

    /// <summary>Length of the phase.</summary>
    public double Seconds { get; }

    /// <summary>All requests, in the order in which they were sent.</summary>
    public IReadOnlyList<TimedRequest> Requests { get; }

    /// <summary>Requests in flight over time.</summary>
    public StepSeries InFlight()
    {
        // An end and a start at the same moment: the end comes first, so that a closed loop never shows one too many.
        var changes = Requests.SelectMany(request => new[] { (At: request.Sent, By: 1), (At: request.Ended, By: -1) }).OrderBy(change => change.At).ThenBy(change => change.By);
        var seconds = new List<double>();
        var values = new List<int>();
        var running = 0;
        foreach (var (at, by) in changes)
        {
            running += by;
            if (seconds.Count > 0 && seconds[^1] == at)
            {
                values[^1] = running;
                continue;
            }

            seconds.Add(at);
            values.Add(running);
        }

        return new StepSeries(seconds, values);
    }

    /// <summary>Time average of the requests in flight over the phase.</summary>
    public double MeanInFlight() => Seconds > 0 ? Requests.Sum(request => request.Ended - request.Sent) / Seconds : 0;

    /// <summary>
    /// The part of the phase in which the load was whole. Closed loop: from the moment every worker has sent its first request to the moment the last request was sent.
    /// Open loop: from the first to the last arrival. Null when there is no such part.
    /// </summary>
    /// <param name="concurrency">Workers of a closed loop; null for an open loop.</param>
    public (double From, double To)? SteadyState(int? concurrency)
    {
        var first = Math.Min(concurrency ?? 1, Requests.Count) - 1;
        return first >= 0 && Requests[^1].Sent > Requests[first].Sent ? (Requests[first].Sent, Requests[^1].Sent) : null;
    }

    // To the microsecond: sums that differ in their last bit must not make two moments of one.
    private static double Rounded(double seconds) => Math.Round(seconds, 6);
}
