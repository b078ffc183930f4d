namespace Tessera.LoadTests.Targets;

/// <summary>A server under test, over any wire that streams tokens. Members may be called concurrently.</summary>
public interface IGenerationTarget : IDisposable
{
    /// <summary>Asks the server who it is; also the probe for whether it answers at all.</summary>
    /// <param name="wantedModel">The model to use; null for the only one.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="LoadTestException">The server does not answer, is not this kind of server, or has no such model.</exception>
    Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken);

    /// <summary>Reads the server's memory; null when the server does not tell or does not answer.</summary>
    Task<ServerMemory?> ReadMemoryAsync(CancellationToken cancellationToken);

    /// <summary>Runs one request to its end. Never throws for what server or network do: that is the outcome.</summary>
    /// <param name="request">What to ask.</param>
    /// <param name="cancellationToken">The user's interruption; the outcome is then <see cref="OutcomeKind.Interrupted"/>.</param>
    Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken);
}

/// <summary>What to ask of the server.</summary>
/// <param name="Model">Model id.</param>
/// <param name="Prompt">The user's message.</param>
/// <param name="Mode">How to reason.</param>
/// <param name="LatentBudget">Most latents; null for no limit. Sent in latent and auto mode only: the others have none.</param>
/// <param name="MaxTokens">Most tokens; null for the server's default.</param>
public sealed record TargetRequest(string Model, string Prompt, ReasoningMode Mode, int? LatentBudget, int? MaxTokens)
{
    /// <summary>When the request was meant to be sent (timestamp of the clock): latencies count from here. Null: when it is sent.</summary>
    public long? IntendedTimestamp { get; init; }

    /// <summary>Only requests of one salt share cached prompt prefixes; null to share with everybody.</summary>
    public string? CacheSalt { get; init; }

    /// <summary>The budget that goes on the wire.</summary>
    public int? SentLatentBudget => Mode is ReasoningMode.Latent or ReasoningMode.Auto ? LatentBudget : null;
}

/// <summary>What the server says of itself.</summary>
/// <param name="Model">Id of the model that will be used.</param>
/// <param name="KvBytesPerPosition">Bytes of keys and values of one position; null when the server does not tell.</param>
/// <param name="HasLatents">Whether it speaks Tessera's reasoning extension.</param>
public sealed record ServerFacts(string Model, long? KvBytesPerPosition, bool HasLatents = true);

/// <summary>Memory of the server at one moment; null for what it does not tell.</summary>
/// <param name="ResidentBytes">Resident bytes of the process.</param>
/// <param name="KvBytesInUse">Bytes of keys and values in use.</param>
/// <param name="KvBytesPeak">Most bytes of keys and values in use since the server started.</param>
/// <param name="GpuBytes">GPU memory in use.</param>
public sealed record ServerMemory(long? ResidentBytes, long? KvBytesInUse, long? KvBytesPeak, long? GpuBytes);
