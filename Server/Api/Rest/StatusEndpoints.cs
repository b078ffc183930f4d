using System.Diagnostics;
using Tessera.Engine;
using Tessera.Models;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api.Rest;

/// <summary>Health and <c>/info</c>.</summary>
internal sealed class StatusEndpoints(InferenceEngine engine, Readiness readiness, TesseraOptions options, TimeProvider timeProvider)
{
    private readonly long _started = timeProvider.GetTimestamp();

    /// <summary>200 while a restart would not help.</summary>
    public Task LiveAsync(HttpContext context) => readiness.IsLive
        ? RestResponse.WriteAsync(context, new HealthBody("live"), RestJson.Wire.HealthBody)
        : RestResponse.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, Reason(readiness.Refusal()!), RestJson.Wire.HealthBody);

    /// <summary>200 while requests are taken.</summary>
    public Task ReadyAsync(HttpContext context) => readiness.Refusal() is { } refusal
        ? RestResponse.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, Reason(refusal), RestJson.Wire.HealthBody)
        : RestResponse.WriteAsync(context, new HealthBody("ready"), RestJson.Wire.HealthBody);

    /// <summary>The model, the engine's state, the limits, the process.</summary>
    public Task InfoAsync(HttpContext context)
    {
        var manifest = engine.Package.Manifest;
        var info = new ServerInfo(ServerCommand.Version, Describe(manifest), Describe(engine.GetStatus()), Limits(manifest), DescribeProcess());
        return RestResponse.WriteAsync(context, info, RestJson.Wire.ServerInfo);
    }

    private HealthBody Reason(ApiFailure refusal) =>
        new(engine.GetStatus().State is var state and not EngineState.Ready ? StateName(state) : refusal.Entry.Code, refusal.Message);

    private static ModelInfo Describe(Manifest manifest) => new(
        manifest.Name, manifest.Version, manifest.License, manifest.Description, manifest.Architecture.Family, manifest.Architecture.LayerCount,
        manifest.Architecture.HiddenSize, manifest.Architecture.VocabularySize, manifest.Architecture.MaxPositions,
        manifest.Precision.Weights, manifest.Precision.Kv, manifest.Latents.Count, manifest.Latents.TextTokensPerLatent, manifest.Codebook is not null,
        [.. manifest.Evaluation.Select(row => new EvaluationInfo(row.Task, row.Mode, row.N, row.Accuracy, row.Low, row.High, row.MeanTokens, row.Note))]);

    private EngineInfo Describe(EngineStatus status) => new(
        StateName(status.State), status.RunningCount, status.WaitingCount, status.KvPositionsInUse, status.KvPositionsCapacity,
        status.KvBytesInUse, status.KvBytesPeak, engine.KvBytesPerPosition, status.StepCount, status.SinceLastProgress.TotalMilliseconds);

    private static string StateName(EngineState state) => state switch
    {
        EngineState.Starting => "starting",
        EngineState.Ready => "ready",
        EngineState.Draining => "draining",
        EngineState.Stopped => "stopped",
        EngineState.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, null),
    };

    private LimitInfo Limits(Manifest manifest) => new(
        manifest.Architecture.MaxPositions, options.Engine.MaxTokensLimit, Math.Min(options.Engine.DefaultMaxTokens, options.Engine.MaxTokensLimit),
        options.Engine.MaxSlots, options.Engine.MaxQueuedRequests, options.Engine.MaxQueuedTokens, options.Engine.PrefillChunk,
        options.Server.MaxBodyBytes, JsonBody.MaxDepth, MaxN: 1);

    private ProcessInfo DescribeProcess()
    {
        using var process = Process.GetCurrentProcess();
        return new(process.WorkingSet64, process.PeakWorkingSet64, timeProvider.GetElapsedTime(_started).TotalSeconds);
    }
}
