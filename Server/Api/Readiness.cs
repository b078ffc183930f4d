using Tessera.Engine;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api;

/// <summary>Whether requests are taken. Rests on the step loop's heartbeat, not on the thread that answers the probe.</summary>
internal sealed class Readiness(InferenceEngine engine, LiveOptions options, IHostApplicationLifetime lifetime)
{
    /// <summary>Why no request is taken now; null when the server is ready.</summary>
    public ApiFailure? Refusal()
    {
        var status = engine.GetStatus();
        if (status.State != EngineState.Ready)
        {
            return ApiFailure.NotReady(status.State);
        }
        if (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            return ApiFailure.ShuttingDown;
        }
        return status.SinceLastProgress > TimeSpan.FromSeconds(options.Server.StallSeconds)
            ? new(ErrorKind.Unavailable, $"the model has made no progress for {status.SinceLastProgress.TotalSeconds:0} seconds")
            : null;
    }

    /// <summary>Whether the process can still be of use; false asks for a restart.</summary>
    public bool IsLive => engine.GetStatus() is var status && status.State != EngineState.Failed && status.SinceLastProgress <= TimeSpan.FromSeconds(options.Server.RestartSeconds);
}
