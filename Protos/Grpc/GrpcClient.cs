using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;

namespace Tessera.Protos.Grpc;

/// <summary>
/// A small gRPC client over <see cref="HttpClient"/> (HTTP/2 with prior knowledge): unary calls and server streaming. Thread-safe; calls share connections.
/// </summary>
public sealed class GrpcClient : IDisposable
{
    /// <summary>Largest message taken when the caller does not say: 4 MiB, the default of other gRPC clients.</summary>
    public const int DefaultMaxReceiveBytes = 4 * 1024 * 1024;

    private readonly HttpClient _http;
    private readonly int _maxReceiveBytes;

    /// <summary>Creates a client; nothing is connected before the first call.</summary>
    /// <param name="address">For example <c>http://127.0.0.1:8081</c>.</param>
    /// <param name="maxReceiveBytes">Largest message to take from the server.</param>
    public GrpcClient(Uri address, int maxReceiveBytes = DefaultMaxReceiveBytes)
    {
        // One connection carries 100 streams; a load test opens more.
        var handler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true, AllowAutoRedirect = false, UseCookies = false, UseProxy = false };
        _http = new HttpClient(handler) { BaseAddress = address, Timeout = Timeout.InfiniteTimeSpan };
        _maxReceiveBytes = maxReceiveBytes;
    }

    /// <summary>One request, one response.</summary>
    /// <param name="method">For example <c>/grpc.health.v1.Health/Check</c>.</param>
    /// <param name="request">The request message.</param>
    /// <param name="parser">Parser of the response message.</param>
    /// <param name="options">Deadline and metadata.</param>
    /// <param name="cancellationToken">Cancels the call on both ends.</param>
    /// <exception cref="GrpcStatusException">The call ended with a status other than OK.</exception>
    public async Task<T> UnaryAsync<T>(
        string method, IMessage request, MessageParser<T> parser, GrpcCallOptions? options = null, CancellationToken cancellationToken = default)
        where T : class, IMessage<T>, new()
    {
        using var call = await StartAsync(method, request, parser, options, cancellationToken).ConfigureAwait(false);
        var response = await call.ReadAsync(cancellationToken).ConfigureAwait(false)
            ?? throw new GrpcStatusException(GrpcStatusCode.Unimplemented, "expected one response message, found none");
        return await call.ReadAsync(cancellationToken).ConfigureAwait(false) is null
            ? response
            : throw new GrpcStatusException(GrpcStatusCode.Unimplemented, "expected one response message, found more");
    }

    /// <summary>One request, a stream of responses; ends without an exception only when the status is OK.</summary>
    /// <inheritdoc cref="UnaryAsync" path="/param"/>
    /// <exception cref="GrpcStatusException">The call ended with a status other than OK.</exception>
    public async IAsyncEnumerable<T> StreamAsync<T>(
        string method, IMessage request, MessageParser<T> parser, GrpcCallOptions? options = null,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
        where T : class, IMessage<T>, new()
    {
        using var call = await StartAsync(method, request, parser, options, cancellationToken).ConfigureAwait(false);
        while (await call.ReadAsync(cancellationToken).ConfigureAwait(false) is { } message)
        {
            yield return message;
        }
    }

    /// <summary>Starts a call and gives it once the response headers are there.</summary>
    /// <inheritdoc cref="UnaryAsync" path="/param"/>
    /// <returns>The call; dispose it to cancel what was not read.</returns>
    /// <exception cref="GrpcStatusException">The call ended before its first message with a status other than OK.</exception>
    public async Task<GrpcCall<T>> StartAsync<T>(
        string method, IMessage request, MessageParser<T> parser, GrpcCallOptions? options = null, CancellationToken cancellationToken = default)
        where T : class, IMessage<T>, new()
    {
        options ??= GrpcCallOptions.Default;
        var lifetime = new GrpcCallLifetime(options.Deadline);
        HttpResponseMessage? response = null;
        try
        {
            response = await lifetime.GuardAsync(
                async token =>
                {
                    using var message = CreateRequest(method, request, options);
                    return await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, token).ConfigureAwait(false);
                },
                cancellationToken).ConfigureAwait(false);
            CheckHead(response);
            var body = await response.Content.ReadAsStreamAsync(CancellationToken.None).ConfigureAwait(false);
            return new GrpcCall<T>(response, body, parser, _maxReceiveBytes, lifetime);
        }
        catch
        {
            response?.Dispose();
            lifetime.Dispose();
            throw;
        }
    }

    /// <summary>Closes the connections; calls still open end as cancelled.</summary>
    public void Dispose() => _http.Dispose();

    private static HttpRequestMessage CreateRequest(string method, IMessage request, GrpcCallOptions options)
    {
        var body = new System.Buffers.ArrayBufferWriter<byte>();
        GrpcFrame.Write(body, request, int.MaxValue);
        var message = new HttpRequestMessage(HttpMethod.Post, method)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ReadOnlyMemoryContent(body.WrittenMemory),
        };
        message.Content.Headers.ContentType = new MediaTypeHeaderValue(GrpcHeaders.ContentType);
        message.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        message.Headers.Add(GrpcHeaders.AcceptEncoding, GrpcHeaders.SupportedEncodings);
        if (options.Deadline is { } deadline)
        {
            message.Headers.Add(GrpcHeaders.Timeout, GrpcTimeout.Format(deadline));
        }

        foreach (var (name, value) in options.Metadata)
        {
            message.Headers.TryAddWithoutValidation(name, value);
        }

        return message;
    }

    // A trailers-only response has its status in the headers; anything that is not gRPC gets a status from its HTTP code.
    private static void CheckHead(HttpResponseMessage response)
    {
        if (response.Headers.NonValidated.Contains(GrpcHeaders.Status))
        {
            GrpcStatusReader.ThrowUnlessOk(response.Headers);
        }
        else if (response.StatusCode != HttpStatusCode.OK || !GrpcHeaders.IsGrpcContentType(response.Content.Headers.ContentType?.ToString()))
        {
            throw new GrpcStatusException(
                GrpcStatusReader.FromHttp(response.StatusCode),
                $"the response is not gRPC: HTTP status {(int)response.StatusCode}, content type {response.Content.Headers.ContentType?.MediaType ?? "none"}");
        }
    }
}
