using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>Sends whole bodies.</summary>
internal static class RestResponse
{
    /// <summary>Sends a body with status 200.</summary>
    public static Task WriteAsync<T>(HttpContext context, T body, JsonTypeInfo<T> type) => WriteAsync(context, StatusCodes.Status200OK, body, type);

    /// <summary>Sends a body.</summary>
    public static async Task WriteAsync<T>(HttpContext context, int status, T body, JsonTypeInfo<T> type)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(body, type);
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await WriteAsync(response, bytes, context.RequestAborted).ConfigureAwait(false);
        }
    }

    /// <summary>Bytes after which an answer is flushed: a reader has its time for each piece, not for all of a long answer.</summary>
    public const int PieceBytes = 16 * 1024;

    private static async Task WriteAsync(HttpResponse response, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        for (; bytes.Length > PieceBytes; bytes = bytes[PieceBytes..])
        {
            await response.Body.WriteAsync(bytes[..PieceBytes], cancellationToken).ConfigureAwait(false);
        }
        await response.Body.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sends an error, with <c>Retry-After</c> in whole seconds where a later attempt makes sense.</summary>
    public static Task WriteErrorAsync(HttpContext context, ApiFailure error)
    {
        RequestTelemetry.Of(context).Refuse(error.Entry.Code);
        if (error.Kind == ErrorKind.Unauthenticated)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
        }
        if (error.RetryAfter is { } retryAfter)
        {
            context.Response.Headers.RetryAfter = ((long)Math.Max(1, Math.Ceiling(retryAfter.TotalSeconds))).ToString(CultureInfo.InvariantCulture);
        }
        return WriteAsync(context, error.Entry.HttpStatus, ErrorBody.Of(error), RestJson.Wire.ErrorBody);
    }
}
