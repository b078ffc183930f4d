using Tessera.Protos.Grpc;

namespace Tessera.Server.Api.Grpc;

/// <summary>How a call ended.</summary>
/// <param name="Code">The status.</param>
/// <param name="Detail">A sentence for the client; empty for OK.</param>
/// <param name="Trailers">Further metadata.</param>
internal sealed record GrpcStatus(GrpcStatusCode Code, string Detail, IReadOnlyList<KeyValuePair<string, string>> Trailers)
{
    /// <summary>Stable name of the error for metrics; null where the code alone tells.</summary>
    public string? Reason { get; init; }

    /// <summary>Everything was sent.</summary>
    public static readonly GrpcStatus OK = new(GrpcStatusCode.OK, "", []);

    /// <summary>The client went away or cancelled; it rarely sees this.</summary>
    public static readonly GrpcStatus Cancelled = new(GrpcStatusCode.Cancelled, "the client cancelled", []);

    /// <summary>The client's deadline passed.</summary>
    public static readonly GrpcStatus Late = new(GrpcStatusCode.DeadlineExceeded, "the deadline passed before the response was complete", []);

    /// <summary>The client does not read its answer. Its stream is reset: it sees this status only by the code of the reset.</summary>
    public static readonly GrpcStatus Unread = new(GrpcStatusCode.ResourceExhausted, "the client did not read its answer in time", []) { Reason = "unread" };

    /// <summary>The status that a handler ended its call with.</summary>
    public static GrpcStatus From(GrpcStatusException exception) =>
        new(exception.Code, exception.Detail, exception.Trailers) { Reason = exception.Reason };
}
