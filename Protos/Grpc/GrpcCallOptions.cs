namespace Tessera.Protos.Grpc;

/// <summary>What a caller may set for one call.</summary>
public sealed record GrpcCallOptions
{
    /// <summary>Nothing set.</summary>
    public static readonly GrpcCallOptions Default = new();

    /// <summary>Time for the whole call, sent to the server and kept here too; null = no limit.</summary>
    public TimeSpan? Deadline { get; init; }

    /// <summary>Headers to send; names in lower case, values in visible ASCII.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Metadata { get; init; } = [];
}
