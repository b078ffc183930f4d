namespace Tessera.LoadTests.Targets;

/// <summary>Where the server is and how to talk to it.</summary>
/// <param name="Url">REST address: models, memory and, without <paramref name="Grpc"/>, the requests.</param>
/// <param name="Grpc">gRPC address for the requests; null for REST.</param>
/// <param name="ApiKey">Bearer key; null for none.</param>
/// <param name="Connections">Requests at once: the connections that are kept open.</param>
/// <param name="Timeout">Time after which a request counts as timed out, from the moment it is sent.</param>
public sealed record TargetOptions(Uri Url, Uri? Grpc, string? ApiKey, int Connections, TimeSpan Timeout)
{
    /// <summary>Opens the target; connects on first use.</summary>
    public IGenerationTarget Open(TimeProvider clock) => Grpc is null
        ? new ChatCompletionsTarget(this, clock)
        : new GrpcTarget(this, clock);
}
