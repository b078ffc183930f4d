using System.Diagnostics;
using Tessera.Engine;
using Tessera.Models;
using Tessera.Server.Api.Rest;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api.Operations;

/// <summary>What <c>/info</c> and <c>GetInfo</c> say: the model, the engine's state, the limits, the process.</summary>
internal sealed class InfoReport(InferenceEngine engine, LiveOptions live, TokenOperations tokens, LatentOperations latents, TimeProvider timeProvider)
{
    private readonly long _started = timeProvider.GetTimestamp();
    private readonly DateTimeOffset _loaded = timeProvider.GetUtcNow();

    /// <summary>When the model was loaded, in seconds since 1970.</summary>
    public long Created => _loaded.ToUnixTimeSeconds();

    /// <summary>The state of now.</summary>
    public ServerInfo Create()
    {
        var manifest = engine.Package.Manifest;
        return new(ServerCommand.Version, Describe(manifest), Describe(engine.GetStatus()), Limits(manifest), DescribeProcess());
    }

    /// <summary>Name of a state on the wire.</summary>
    public static string StateName(EngineState state) => state switch
    {
        EngineState.Starting => "starting",
        EngineState.Ready => "ready",
        EngineState.Draining => "draining",
        EngineState.Stopped => "stopped",
        EngineState.Failed => "failed",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, null),
    };

    private static ModelInfo Describe(Manifest manifest) => new(
        manifest.Name, manifest.Version, manifest.License, manifest.Description, manifest.Architecture.Family, manifest.Architecture.LayerCount,
        manifest.Architecture.HiddenSize, manifest.Architecture.VocabularySize, manifest.Architecture.MaxPositions,
        manifest.Precision.Weights, manifest.Precision.Kv, manifest.Latents.Count, manifest.Latents.TextTokensPerLatent, manifest.Codebook is not null,
        [.. manifest.Evaluation.Select(row => new EvaluationInfo(row.Task, row.Mode, row.N, row.Accuracy, row.Low, row.High, row.MeanTokens, row.Note))]);

    private EngineInfo Describe(EngineStatus status) => new(
        StateName(status.State), status.RunningCount, status.WaitingCount, status.KvPositionsInUse, status.KvPositionsCapacity,
        status.KvBytesInUse, status.KvBytesPeak, engine.KvBytesPerPosition, status.StepCount, status.SinceLastProgress.TotalMilliseconds);

    private LimitInfo Limits(Manifest manifest) => Limits(manifest, live.Current);

    private LimitInfo Limits(Manifest manifest, TesseraOptions options) => new(
        manifest.Architecture.MaxPositions, options.Engine.MaxTokensLimit, Math.Min(options.Engine.DefaultMaxTokens, options.Engine.MaxTokensLimit),
        options.Engine.MaxSlots, options.Engine.MaxQueuedRequests, options.Engine.MaxQueuedTokens, options.Engine.PrefillChunk,
        options.Server.MaxBodyBytes, JsonBody.MaxDepth, Math.Min(options.Engine.MaxChoices, options.Engine.MaxSlots), options.Engine.MaxTopLogprobs,
        options.Engine.MaxLogitBiasEntries, options.Engine.MaxStopTokenIds, tokens.MaxCharacters, latents.MaxCodes,
        options.Server.MaxHeaderBytes, options.Server.MaxConnections, options.Server.HeaderSeconds, options.Server.BodySeconds, options.Server.ReaderSeconds,
        options.Server.RequestSeconds, options.MaxPrompts,
        options.Security.RequestsPerMinute, options.Security.TokensPerMinute);

    private ProcessInfo DescribeProcess()
    {
        using var process = Process.GetCurrentProcess();
        return new(process.WorkingSet64, process.PeakWorkingSet64, timeProvider.GetElapsedTime(_started).TotalSeconds);
    }
}
