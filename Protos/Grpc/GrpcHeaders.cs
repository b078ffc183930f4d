namespace Tessera.Protos.Grpc;

/// <summary>Header and trailer names of gRPC over HTTP/2, and the encodings that both ends take.</summary>
public static class GrpcHeaders
{
    /// <summary>Content type of requests and responses.</summary>
    public const string ContentType = "application/grpc";

    /// <summary>Status number, in the trailers or, when there is no message, in the headers.</summary>
    public const string Status = "grpc-status";

    /// <summary>Percent-encoded sentence beside the status.</summary>
    public const string Message = "grpc-message";

    /// <summary>Time that the caller gives the call.</summary>
    public const string Timeout = "grpc-timeout";

    /// <summary>Encoding of compressed messages in this direction.</summary>
    public const string Encoding = "grpc-encoding";

    /// <summary>Encodings that the sender of this header can read.</summary>
    public const string AcceptEncoding = "grpc-accept-encoding";

    /// <summary>Milliseconds after which a refused call may be tried again; clients with a retry policy read it.</summary>
    public const string RetryPushback = "grpc-retry-pushback-ms";

    /// <summary>A serialised <c>google.rpc.Status</c> with details, in base64.</summary>
    public const string StatusDetails = "grpc-status-details-bin";

    /// <summary>Value of <see cref="AcceptEncoding"/> on both ends.</summary>
    public const string SupportedEncodings = "identity,gzip";

    /// <summary>The one encoding of compressed messages.</summary>
    public const string Gzip = "gzip";

    /// <summary>Whether a value of <see cref="AcceptEncoding"/> names gzip.</summary>
    public static bool TakesGzip(string? acceptEncoding)
    {
        foreach (var part in acceptEncoding.AsSpan().Split(','))
        {
            if (acceptEncoding.AsSpan(part).Trim().Equals(Gzip, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a content type is gRPC with protobuf messages; parameters after <c>;</c> are ignored.</summary>
    public static bool IsGrpcContentType(string? contentType)
    {
        var type = contentType.AsSpan();
        var semicolon = type.IndexOf(';');
        type = (semicolon < 0 ? type : type[..semicolon]).Trim();
        return type.Equals(ContentType, StringComparison.OrdinalIgnoreCase) || type.Equals(ContentType + "+proto", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>Reads a status number; what is no known number is <see cref="GrpcStatusCode.Unknown"/>.</summary>
    public static GrpcStatusCode ParseStatus(string value) =>
        int.TryParse(value, System.Globalization.NumberStyles.None, null, out var number) && Enum.IsDefined((GrpcStatusCode)number)
            ? (GrpcStatusCode)number
            : GrpcStatusCode.Unknown;
}
