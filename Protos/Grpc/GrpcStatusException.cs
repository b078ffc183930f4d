namespace Tessera.Protos.Grpc;

/// <summary>Ends a call with a status other than OK; the message is meant for the other end.</summary>
public sealed class GrpcStatusException : Exception
{
    /// <summary>Creates the status.</summary>
    /// <param name="code">Any code but <see cref="GrpcStatusCode.OK"/>.</param>
    /// <param name="detail">A sentence that the other end may read (<c>grpc-message</c>).</param>
    /// <param name="trailers">Further metadata that goes with the status; names in lower case.</param>
    /// <param name="innerException">What caused it; never sent.</param>
    public GrpcStatusException(
        GrpcStatusCode code, string detail, IReadOnlyList<KeyValuePair<string, string>>? trailers = null, Exception? innerException = null)
        : base($"{code}: {detail}", innerException)
    {
        ArgumentOutOfRangeException.ThrowIfEqual((int)code, (int)GrpcStatusCode.OK, nameof(code));
        Code = code;
        Detail = detail;
        Trailers = trailers ?? [];
    }

    /// <summary>The status.</summary>
    public GrpcStatusCode Code { get; }

    /// <summary>The sentence of <c>grpc-message</c>.</summary>
    public string Detail { get; }

    /// <summary>Metadata sent or received with the status.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Trailers { get; }

    /// <summary>Stable name of the error for logs and metrics; never sent.</summary>
    public string? Reason { get; init; }

    /// <summary>First value of a trailer; null when there is none.</summary>
    public string? GetTrailer(string name)
    {
        foreach (var (key, value) in Trailers)
        {
            if (string.Equals(key, name, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        return null;
    }
}
