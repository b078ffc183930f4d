using System.Net;
using System.Net.Http.Headers;

namespace Tessera.Protos.Grpc;

/// <summary>Reads a call's status from what the server sent, to the specification's mapping tables.</summary>
internal static class GrpcStatusReader
{
    /// <exception cref="GrpcStatusException">The status is missing or not OK.</exception>
    public static void ThrowUnlessOk(HttpResponseHeaders headers)
    {
        if (!headers.TryGetValues(GrpcHeaders.Status, out var status))
        {
            throw new GrpcStatusException(GrpcStatusCode.Unknown, "the response ended without grpc-status");
        }

        var code = GrpcHeaders.ParseStatus(status.First());
        if (code != GrpcStatusCode.OK)
        {
            var detail = headers.TryGetValues(GrpcHeaders.Message, out var message) ? GrpcMessageEncoding.Decode(message.First()) : "";
            throw new GrpcStatusException(code, detail, [.. headers.Select(header => KeyValuePair.Create(header.Key, string.Join(", ", header.Value)))]);
        }
    }

    public static GrpcStatusCode FromHttp(HttpStatusCode status) => (int)status switch
    {
        400 => GrpcStatusCode.Internal,
        401 => GrpcStatusCode.Unauthenticated,
        403 => GrpcStatusCode.PermissionDenied,
        404 => GrpcStatusCode.Unimplemented,
        429 or 502 or 503 or 504 => GrpcStatusCode.Unavailable,
        _ => GrpcStatusCode.Unknown,
    };

    // Error codes of RFC 9113, section 7.
    public static GrpcStatusCode FromReset(long errorCode) => errorCode switch
    {
        0x7 => GrpcStatusCode.Unavailable, // REFUSED_STREAM
        0x8 => GrpcStatusCode.Cancelled, // CANCEL
        0xB => GrpcStatusCode.ResourceExhausted, // ENHANCE_YOUR_CALM
        0xC => GrpcStatusCode.PermissionDenied, // INADEQUATE_SECURITY
        0x5 => GrpcStatusCode.Unknown, // STREAM_CLOSED
        _ => GrpcStatusCode.Internal,
    };
}
