using System.IO.Pipelines;
using System.Net.Http.Headers;
using Google.Protobuf;

namespace Tessera.Protos.Grpc;

/// <summary>A running call as its caller sees it. One reader at a time; disposing it cancels the call when it was not read to its end.</summary>
/// <typeparam name="T">The response message.</typeparam>
public sealed class GrpcCall<T> : IDisposable
    where T : class, IMessage<T>, new()
{
    private readonly HttpResponseMessage _response;
    private readonly MessageParser<T> _parser;
    private readonly GrpcFrameReader _frames;
    private readonly GrpcCallLifetime _lifetime;
    private bool _ended;

    internal GrpcCall(HttpResponseMessage response, Stream body, MessageParser<T> parser, int maxReceiveBytes, GrpcCallLifetime lifetime)
    {
        _response = response;
        _parser = parser;
        _lifetime = lifetime;
        var encoding = response.Headers.TryGetValues(GrpcHeaders.Encoding, out var values) ? values.First() : null;
        _frames = new GrpcFrameReader(PipeReader.Create(body), maxReceiveBytes, encoding);
    }

    /// <summary>Headers of the response.</summary>
    public HttpResponseHeaders Headers => _response.Headers;

    /// <summary>Trailers; complete once <see cref="ReadAsync"/> gave null or threw a status.</summary>
    public HttpResponseHeaders Trailers => _response.TrailingHeaders;

    /// <summary>Reads the next message.</summary>
    /// <returns>Null when the call ended with status OK.</returns>
    /// <exception cref="GrpcStatusException">The call ended with another status.</exception>
    public async ValueTask<T?> ReadAsync(CancellationToken cancellationToken = default)
    {
        if (_ended)
        {
            return null;
        }

        var message = await _lifetime.GuardAsync(token => _frames.ReadAsync(_parser, token).AsTask(), cancellationToken).ConfigureAwait(false);
        if (message is null)
        {
            // A trailers-only OK has its status in the headers.
            _ended = true;
            GrpcStatusReader.ThrowUnlessOk(_response.Headers.NonValidated.Contains(GrpcHeaders.Status) ? _response.Headers : _response.TrailingHeaders);
        }

        return message;
    }

    /// <summary>Ends the call; the server sees a cancellation when messages were left.</summary>
    public void Dispose()
    {
        _response.Dispose();
        _lifetime.Dispose();
    }
}
