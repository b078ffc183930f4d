using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api;

/// <summary>Lets requests in, for both fronts: a place in the queue first, the work of reading a prompt second.</summary>
internal sealed class Admission(InferenceEngine engine, Readiness readiness, LiveOptions options)
{
    private readonly int _maxPositions = engine.Package.Manifest.Architecture.MaxPositions;

    /// <summary>Why no request is taken now; looked at before a body is read. Null when it may be.</summary>
    public ApiFailure? Refusal() =>
        readiness.Refusal() ?? (engine.QueueFullRetryAfter is { } retryAfter ? ApiFailure.FromSubmit(new SubmitResult.Full(retryAfter), EngineState.Ready) : null);

    /// <summary>Reserves a place for each request of a body that was read and whose prompts were not tokenised yet; all or none.</summary>
    /// <param name="bodyBytes">Bytes of the body: no prompt has more tokens than bytes.</param>
    /// <param name="place">Give it to the engine with each request, and dispose of it in any case.</param>
    /// <param name="requests">How many requests it is.</param>
    /// <returns>Why there is no room; null when there is.</returns>
    public ApiFailure? Reserve(long bodyBytes, out QueuePlace? place, int requests = 1)
    {
        var tokens = (int)Math.Min(bodyBytes, Math.Min(int.MaxValue, (long)_maxPositions * requests));
        return engine.TryReserve(tokens, out place, requests) is { } full ? ApiFailure.FromSubmit(full, EngineState.Ready) : null;
    }

    /// <summary>The input with the server's bound on its time.</summary>
    public GenerationInput Bound(GenerationInput input)
    {
        var most = TimeSpan.FromSeconds(options.Server.RequestSeconds);
        return input with { Timeout = input.Timeout < most ? input.Timeout : most };
    }
}
