using Tessera.Protos.Grpc;

namespace Tessera.Server.Api;

/// <summary>What can go wrong for a client: the one list behind REST and gRPC.</summary>
public enum ErrorKind
{
    /// <summary>A field is wrong.</summary>
    InvalidArgument,

    /// <summary>The body cannot be read as a message at all.</summary>
    InvalidBody,

    /// <summary>No key, or one that is not valid.</summary>
    Unauthenticated,

    /// <summary>The named model is not served.</summary>
    ModelNotFound,

    /// <summary>No such route or method.</summary>
    NotFound,

    /// <summary>The route exists for other HTTP methods.</summary>
    MethodNotAllowed,

    /// <summary>The body or message is larger than allowed.</summary>
    TooLarge,

    /// <summary>The body did not arrive in time.</summary>
    BodyTimeout,

    /// <summary>The body has another media type or coding than the route takes.</summary>
    UnsupportedMediaType,

    /// <summary>The caller's requests or tokens per minute are used up.</summary>
    RateLimited,

    /// <summary>The queue is full.</summary>
    QueueFull,

    /// <summary>The server warms up, drains, shuts down or has lost its runtime.</summary>
    Unavailable,

    /// <summary>The caller went away or cancelled.</summary>
    Cancelled,

    /// <summary>The caller's deadline passed.</summary>
    DeadlineExceeded,

    /// <summary>The server failed.</summary>
    Internal,
}

/// <summary>How one kind of error looks on the wire.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Code">Stable name for programs, REST <c>error.code</c>.</param>
/// <param name="Type">REST <c>error.type</c>, in OpenAI's words.</param>
/// <param name="HttpStatus">REST status.</param>
/// <param name="GrpcStatus">gRPC status.</param>
public sealed record ErrorEntry(ErrorKind Kind, string Code, string Type, int HttpStatus, GrpcStatusCode GrpcStatus);

/// <summary>The one mapping from an error to its HTTP and gRPC status.</summary>
public static class ErrorCatalog
{
    /// <summary>All entries, one per kind, in the order of <see cref="ErrorKind"/>.</summary>
    public static readonly IReadOnlyList<ErrorEntry> Entries =
    [
        new(ErrorKind.InvalidArgument, "invalid_value", "invalid_request_error", 400, GrpcStatusCode.InvalidArgument),
        new(ErrorKind.InvalidBody, "invalid_body", "invalid_request_error", 400, GrpcStatusCode.InvalidArgument),
        new(ErrorKind.Unauthenticated, "invalid_api_key", "invalid_request_error", 401, GrpcStatusCode.Unauthenticated),
        new(ErrorKind.ModelNotFound, "model_not_found", "invalid_request_error", 404, GrpcStatusCode.NotFound),
        new(ErrorKind.NotFound, "not_found", "invalid_request_error", 404, GrpcStatusCode.Unimplemented),
        new(ErrorKind.MethodNotAllowed, "method_not_allowed", "invalid_request_error", 405, GrpcStatusCode.Unimplemented),
        new(ErrorKind.TooLarge, "too_large", "invalid_request_error", 413, GrpcStatusCode.ResourceExhausted),
        new(ErrorKind.BodyTimeout, "body_timeout", "invalid_request_error", 408, GrpcStatusCode.DeadlineExceeded),
        new(ErrorKind.UnsupportedMediaType, "unsupported_media_type", "invalid_request_error", 415, GrpcStatusCode.InvalidArgument),
        new(ErrorKind.RateLimited, "rate_limit_exceeded", "rate_limit_error", 429, GrpcStatusCode.ResourceExhausted),
        new(ErrorKind.QueueFull, "queue_full", "rate_limit_error", 429, GrpcStatusCode.ResourceExhausted),
        new(ErrorKind.Unavailable, "unavailable", "server_error", 503, GrpcStatusCode.Unavailable),
        new(ErrorKind.Cancelled, "cancelled", "invalid_request_error", 499, GrpcStatusCode.Cancelled),
        new(ErrorKind.DeadlineExceeded, "deadline_exceeded", "server_error", 504, GrpcStatusCode.DeadlineExceeded),
        new(ErrorKind.Internal, "internal_error", "server_error", 500, GrpcStatusCode.Internal),
    ];

    /// <summary>The entry of a kind.</summary>
    public static ErrorEntry Get(ErrorKind kind) => Entries[(int)kind];
}
