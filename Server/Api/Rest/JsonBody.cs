using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Net.Http.Headers;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads a JSON object from a request; what is wrong with it becomes an error that never repeats its content.</summary>
internal static class JsonBody
{
    /// <summary>Levels that arrays and objects may be nested.</summary>
    public const int MaxDepth = 32;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = MaxDepth };

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>Reads the body.</summary>
    /// <returns>The document, which the caller disposes, or the error.</returns>
    /// <exception cref="BadHttpRequestException">The body is over the server's limit, or it is not what its headers promise.</exception>
    public static async Task<(JsonDocument? Document, ApiFailure? Error)> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        if (CheckHeaders(request) is { } refused)
        {
            return (null, refused);
        }

        var most = request.HttpContext.Features.Get<BodyTimeout>()?.Time ?? Timeout.InfiniteTimeSpan;
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        late.CancelAfter(most);
        using var buffer = new MemoryStream();
        try
        {
            await request.Body.CopyToAsync(buffer, late.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (IsLate(e, late, cancellationToken))
        {
            // The rest of the body may never come.
            request.HttpContext.Response.Headers.Connection = "close";
            return (null, ApiFailure.BodyLate(most));
        }

        return Parse(buffer.GetBuffer().AsMemory(0, (int)buffer.Length));
    }

    /// <summary>Parses a body.</summary>
    /// <param name="body">Belongs to the document from here on.</param>
    internal static (JsonDocument? Document, ApiFailure? Error) Parse(ReadOnlyMemory<byte> body)
    {
        if (body.Span.StartsWith(ByteOrderMark))
        {
            body = body[ByteOrderMark.Length..];
        }
        if (body.IsEmpty)
        {
            return (null, Invalid("expected a JSON object, found nothing"));
        }
        if (!Utf8.IsValid(body.Span))
        {
            return (null, Invalid("expected UTF-8, found other bytes"));
        }

        try
        {
            var document = JsonDocument.Parse(body, Options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return (document, null);
            }
            var found = FieldReader.KindOf(document.RootElement);
            document.Dispose();
            return (null, Invalid($"expected a JSON object, found {found}"));
        }
        catch (JsonException e)
        {
            var at = $"line {e.LineNumber + 1}, position {e.BytePositionInLine + 1}";
            var tooDeep = IsTooDeep(body.Span);
            return (null, Invalid(tooDeep ? $"expected at most {MaxDepth} levels of nesting, found more at {at}" : $"expected JSON, found an error at {at}"));
        }
    }

    private static bool IsLate(Exception exception, CancellationTokenSource late, CancellationToken gone) =>
        !gone.IsCancellationRequested
        && (exception is OperationCanceledException ? late.IsCancellationRequested : exception is BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout });

    private static ApiFailure? CheckHeaders(HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type) || !type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase))
        {
            var given = string.IsNullOrEmpty(request.ContentType) ? "none" : $"'{Echo.Shorten(request.ContentType)}'";
            return new(ErrorKind.UnsupportedMediaType, $"Content-Type: expected application/json, found {given}", "Content-Type");
        }
        if (type.Charset.HasValue && !type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        {
            var found = Echo.Shorten(type.Charset.ToString());
            return new(ErrorKind.UnsupportedMediaType, $"Content-Type: expected charset utf-8, found '{found}'", "Content-Type");
        }
        var coding = request.Headers.ContentEncoding.ToString();
        return coding.Length == 0 || coding.Equals("identity", StringComparison.OrdinalIgnoreCase)
            ? null
            : new(ErrorKind.UnsupportedMediaType, $"Content-Encoding: expected none, found '{Echo.Shorten(coding)}'", "Content-Encoding");
    }

    private static ApiFailure Invalid(string message) => new(ErrorKind.InvalidBody, $"body: {message}");

    /// <summary>Whether the reason for a failed parse is the depth: only then does a reader without that limit get past it.</summary>
    private static bool IsTooDeep(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = int.MaxValue });
        try
        {
            while (reader.Read())
            {
                if (reader.CurrentDepth >= MaxDepth && reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject)
                {
                    return true;
                }
            }
        }
        catch (JsonException)
        {
            // Broken before it got too deep.
        }
        return false;
    }
}
