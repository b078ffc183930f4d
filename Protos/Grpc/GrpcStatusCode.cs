namespace Tessera.Protos.Grpc;

/// <summary>How a call ended; the numbers are those on the wire (<c>grpc-status</c>).</summary>
public enum GrpcStatusCode
{
    /// <summary>The call succeeded.</summary>
    OK = 0,

    /// <summary>The caller cancelled.</summary>
    Cancelled = 1,

    /// <summary>No status was sent, or one that this build does not know.</summary>
    Unknown = 2,

    /// <summary>A field is wrong, whatever the server's state.</summary>
    InvalidArgument = 3,

    /// <summary>The caller's deadline passed.</summary>
    DeadlineExceeded = 4,

    /// <summary>The named thing does not exist.</summary>
    NotFound = 5,

    /// <summary>The thing to create exists.</summary>
    AlreadyExists = 6,

    /// <summary>The caller may not do this.</summary>
    PermissionDenied = 7,

    /// <summary>A limit was reached: message size or queue.</summary>
    ResourceExhausted = 8,

    /// <summary>The server's state forbids it.</summary>
    FailedPrecondition = 9,

    /// <summary>A conflict with another call.</summary>
    Aborted = 10,

    /// <summary>Past the end of what exists.</summary>
    OutOfRange = 11,

    /// <summary>Unknown service or method, unsupported encoding, or the wrong number of messages.</summary>
    Unimplemented = 12,

    /// <summary>The server failed, or the bytes break the protocol.</summary>
    Internal = 13,

    /// <summary>The server cannot be reached, is not ready or is shutting down; a retry may help.</summary>
    Unavailable = 14,

    /// <summary>Data was lost for good.</summary>
    DataLoss = 15,

    /// <summary>No valid credentials.</summary>
    Unauthenticated = 16,
}
