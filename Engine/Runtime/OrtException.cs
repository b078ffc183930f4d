namespace Tessera.Engine.Runtime;

/// <summary>Codes of a failed call, as the runtime's C API numbers them.</summary>
public enum OrtErrorCode
{
    /// <summary>No error.</summary>
    Ok = 0,

    /// <summary>Failed without a closer reason; also what a terminated run gives.</summary>
    Fail = 1,

    /// <summary>An argument, an input's shape or an input's value is not valid.</summary>
    InvalidArgument = 2,

    /// <summary>A file is missing.</summary>
    NoSuchFile = 3,

    /// <summary>There is no model.</summary>
    NoModel = 4,

    /// <summary>An execution provider failed.</summary>
    EngineError = 5,

    /// <summary>The runtime threw.</summary>
    RuntimeFailure = 6,

    /// <summary>The file is no ONNX model.</summary>
    InvalidProtobuf = 7,

    /// <summary>The model is already loaded.</summary>
    ModelLoaded = 8,

    /// <summary>No kernel for an operator.</summary>
    NotImplemented = 9,

    /// <summary>The graph is not valid.</summary>
    InvalidGraph = 10,

    /// <summary>An execution provider failed.</summary>
    ExecutionProviderFailure = 11,

    /// <summary>Loading was cancelled.</summary>
    ModelLoadCancelled = 12,

    /// <summary>The model must be compiled first.</summary>
    ModelRequiresCompilation = 13,

    /// <summary>Something named was not found.</summary>
    NotFound = 14,

    /// <summary>The device was reset.</summary>
    DeviceReset = 15,
}

/// <summary>A call of the runtime's C API that failed.</summary>
public sealed class OrtException : Exception
{
    /// <summary>Creates the error of one call.</summary>
    /// <param name="apiCall">Name of the C function.</param>
    /// <param name="code">Its status code.</param>
    /// <param name="detail">Its message; for logs, never for clients.</param>
    public OrtException(string apiCall, OrtErrorCode code, string detail)
        : base($"ONNX Runtime: {apiCall} failed with {code}: {detail}")
    {
        ApiCall = apiCall;
        Code = code;
    }

    /// <summary>Name of the C function that failed.</summary>
    public string ApiCall { get; }

    /// <summary>Status code.</summary>
    public OrtErrorCode Code { get; }
}

/// <summary>The native runtime cannot be used: it was not found, could not be loaded, or is too old. The message says what to do.</summary>
public sealed class OrtLibraryException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">What was found and what to do.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public OrtLibraryException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
