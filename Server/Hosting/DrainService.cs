using Tessera.Engine;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Hosting;

/// <summary>
/// Drains the engine before the listeners close, so that running requests finish, the rest get their final event, and probes are still answered meanwhile.
/// </summary>
internal sealed class DrainService(InferenceEngine engine, LiveOptions options, ILogger<DrainService> logger) : IHostedLifecycleService
{
    /// <inheritdoc/>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        var status = engine.GetStatus();
        Log.Draining(logger, status.RunningCount, status.WaitingCount, options.Server.DrainSeconds);
        await engine.DrainAsync(TimeSpan.FromSeconds(options.Server.DrainSeconds)).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Log.Drained(logger);
    }

    /// <inheritdoc/>
    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
