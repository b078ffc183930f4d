namespace Tessera.LoadTests.Targets;

/// <summary>The two modes that are compared.</summary>
public enum ReasoningMode
{
    /// <summary>Plain chain of thought: the baseline.</summary>
    Text,

    /// <summary>The reasoning starts with latents.</summary>
    Latent,
}

/// <summary>A server under test; a REST one today, any wire that streams tokens later. Members may be called concurrently.</summary>
public interface IGenerationTarget : IDisposable
{
    /// <summary>Asks the server who it is; also the probe for whether it answers at all.</summary>
    /// <param name="wantedModel">The model to use; null for the only one.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="LoadTestException">The server does not answer, is not this kind of server, or has no such model.</exception>
    Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken);

    /// <summary>Reads the KV cache's fill; null when the server does not tell or does not answer.</summary>
    Task<KvCacheState?> ReadKvCacheAsync(CancellationToken cancellationToken);

    /// <summary>Runs one request to its end. Never throws for what server or network do: that is the outcome.</summary>
    /// <param name="request">What to ask.</param>
    /// <param name="cancellationToken">The user's interruption; the outcome is then <see cref="OutcomeKind.Interrupted"/>.</param>
    Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken);
}

/// <summary>What to ask of the server.</summary>
/// <param name="Model">Model id.</param>
/// <param name="Prompt">The user's message.</param>
/// <param name="Mode">How to reason.</param>
/// <param name="LatentBudget">Most latents; null for no limit. Sent in latent mode only: text mode has none.</param>
/// <param name="MaxTokens">Most tokens; null for the server's default.</param>
public sealed record TargetRequest(string Model, string Prompt, ReasoningMode Mode, int? LatentBudget, int? MaxTokens);

/// <summary>What the server says of itself.</summary>
/// <param name="Model">Id of the model that will be used.</param>
/// <param name="KvBytesPerPosition">Bytes of keys and values of one position; null when the server does not tell.</param>
public sealed record ServerFacts(string Model, long? KvBytesPerPosition);

/// <summary>Fill of the server's KV cache.</summary>
/// <param name="BytesInUse">Bytes in use now.</param>
/// <param name="BytesPeak">Most bytes in use since the server started; null when it does not tell.</param>
public sealed record KvCacheState(long BytesInUse, long? BytesPeak);
