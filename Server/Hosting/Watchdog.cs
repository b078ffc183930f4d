using Tessera.Engine;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Hosting;

/// <summary>Says when a step hangs, and when it has come back: a server that only stops answering leaves nobody a hint.</summary>
internal sealed class Watchdog(InferenceEngine engine, LiveOptions options, ServerMetrics metrics, ILogger<Watchdog> logger) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval);
        var isStalled = false;
        while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
        {
            var status = engine.GetStatus();
            var wasStalled = isStalled;
            isStalled = status.SinceLastProgress > TimeSpan.FromSeconds(options.Server.StallSeconds);
            if (isStalled && !wasStalled)
            {
                metrics.RecordStall();
                Log.Stalled(logger, status.SinceLastProgress.TotalSeconds, status.RunningCount, status.WaitingCount);
            }
            else if (wasStalled && !isStalled)
            {
                Log.StallOver(logger);
            }
        }
    }
}
