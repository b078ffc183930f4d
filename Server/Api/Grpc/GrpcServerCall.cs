using Google.Protobuf;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Tessera.Protos.Grpc;
using Tessera.Server.Hosting;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Grpc;

/// <summary>One call on the server: its one request message, its response messages, its deadline and its end. Used by one handler at a time.</summary>
internal sealed class GrpcServerCall : IDisposable
{
    private const int PieceBytes = 16 * 1024;
    private const int Http2Cancel = 0x8;
    private const int Http2EnhanceYourCalm = 0xB;

    private readonly HttpContext _context;
    private readonly int _maxMessageBytes;
    private readonly TimeSpan _readerTime;
    private readonly TimeProvider _timeProvider;
    private readonly bool _takesGzip;
    private readonly CancellationTokenSource? _deadline;
    private readonly CancellationTokenSource _ended;
    private GrpcFrameReader? _frames;
    private bool _hasWritten;
    private int? _resetCode;

    /// <summary>Wraps a request whose method and content type were checked.</summary>
    /// <param name="context">The HTTP/2 stream.</param>
    /// <param name="options">Largest message in either direction, and time for a reader.</param>
    /// <param name="timeout">Time that the client gives; null for no deadline.</param>
    /// <param name="timeProvider">Clock of the deadline.</param>
    public GrpcServerCall(HttpContext context, ServerOptions options, TimeSpan? timeout, TimeProvider timeProvider)
    {
        _context = context;
        _maxMessageBytes = options.MaxBodyBytes;
        _readerTime = TimeSpan.FromSeconds(options.ReaderSeconds);
        _timeProvider = timeProvider;
        _deadline = timeout is { } time ? new CancellationTokenSource(time, timeProvider) : null;
        _ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, _deadline?.Token ?? CancellationToken.None);
        context.Response.ContentType = GrpcHeaders.ContentType;
        context.Response.Headers[GrpcHeaders.AcceptEncoding] = GrpcHeaders.SupportedEncodings;
        _takesGzip = GrpcHeaders.TakesGzip(context.Request.Headers[GrpcHeaders.AcceptEncoding]);
        LiftBodyLimit(context);
        LiftBodyRate(context);
    }

    /// <summary>Id of the call in logs and in the response's headers.</summary>
    public string RequestId => _context.TraceIdentifier;

    /// <summary>What is recorded about the call.</summary>
    public RequestTelemetry Telemetry => RequestTelemetry.Of(_context);

    /// <summary>Fires when the client goes away or its deadline passes.</summary>
    public CancellationToken Ended => _ended.Token;

    /// <summary>Whether nobody reads the response any more.</summary>
    public bool IsClientGone => _context.RequestAborted.IsCancellationRequested;

    /// <summary>Whether the client's deadline has passed.</summary>
    public bool IsDeadlinePassed => _deadline is { IsCancellationRequested: true };

    /// <summary>Whether so much was written that it should be flushed: a reader has its time for each flush.</summary>
    public bool HasMuchToFlush => _context.Response.BodyWriter.UnflushedBytes >= PieceBytes;

    /// <summary>Reads the one message of the request and the end of the body.</summary>
    /// <exception cref="GrpcStatusException">The body is not exactly one message within the limits.</exception>
    /// <exception cref="OperationCanceledException">The client went away or its deadline passed.</exception>
    public async Task<T> ReadRequestAsync<T>(MessageParser<T> parser)
        where T : class, IMessage<T>, new()
    {
        var message = await ReadNextAsync(parser).ConfigureAwait(false) ?? throw WrongCount("none");
        return await ReadNextAsync(parser).ConfigureAwait(false) is null ? message : throw WrongCount("more");
    }

    /// <summary>Reads the next message of a stream of requests.</summary>
    /// <returns>Null once the client has closed its side.</returns>
    /// <inheritdoc cref="ReadRequestAsync" path="/exception"/>
    public async Task<T?> ReadNextAsync<T>(MessageParser<T> parser)
        where T : class, IMessage<T>, new()
    {
        var most = _context.Features.Get<BodyTimeout>()?.Time ?? Timeout.InfiniteTimeSpan;
        using var late = CancellationTokenSource.CreateLinkedTokenSource(Ended);
        late.CancelAfter(most);
        try
        {
            _frames ??= new GrpcFrameReader(_context.Request.BodyReader, _maxMessageBytes, _context.Request.Headers[GrpcHeaders.Encoding]);
            return await _frames.ReadAsync(parser, late.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!Ended.IsCancellationRequested)
        {
            throw GrpcFailure.ToStatus(ApiFailure.BodyLate(most));
        }
        catch (BadHttpRequestException e)
        {
            throw new GrpcStatusException(
                GrpcStatusCode.InvalidArgument, "body: expected one whole message, found an early end or too slow a sender", innerException: e);
        }
        catch (IOException e)
        {
            throw new OperationCanceledException("The client reset the stream.", e);
        }
    }

    /// <summary>Adds a response message; it is sent with the next flush.</summary>
    /// <exception cref="GrpcStatusException">RESOURCE_EXHAUSTED: the message is larger than allowed.</exception>
    public void Write(IMessage message)
    {
        if (!_takesGzip)
        {
            GrpcFrame.Write(_context.Response.BodyWriter, message, _maxMessageBytes);
        }
        else
        {
            if (!_hasWritten)
            {
                _context.Response.Headers[GrpcHeaders.Encoding] = GrpcHeaders.Gzip;
            }

            GrpcFrame.WriteGzip(_context.Response.BodyWriter, message, _maxMessageBytes);
        }

        _hasWritten = true;
    }

    /// <summary>Sends what was written; waits for a client that reads slowly, but not past its deadline or the time for readers.</summary>
    /// <exception cref="OperationCanceledException">The client went away or its deadline passed.</exception>
    /// <exception cref="GrpcStatusException">RESOURCE_EXHAUSTED: the client does not read.</exception>
    public async Task FlushAsync()
    {
        // Not cancelled itself: Kestrel would reset the stream, where a status may still get through.
        var flush = _context.Response.BodyWriter.FlushAsync(CancellationToken.None).AsTask();
        try
        {
            await flush.WaitAsync(_readerTime, _timeProvider, Ended).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            _resetCode = flush.IsCompleted ? null : Http2Cancel;
            throw;
        }
        catch (TimeoutException) when (!flush.IsCompleted)
        {
            _resetCode = Http2EnhanceYourCalm;
            throw new GrpcStatusException(GrpcStatus.Unread.Code, GrpcStatus.Unread.Detail) { Reason = GrpcStatus.Unread.Reason };
        }
    }

    /// <summary>Sends the status: in the trailers, or in the headers when there was no message.</summary>
    public void End(GrpcStatus status)
    {
        if (_resetCode is { } code)
        {
            // Trailers would wait behind bytes that the client does not read.
            _context.Features.Get<IHttpResetFeature>()?.Reset(code);
            return;
        }

        Append(GrpcHeaders.Status, ((int)status.Code).ToString());
        if (status.Detail.Length > 0)
        {
            Append(GrpcHeaders.Message, GrpcMessageEncoding.Encode(status.Detail));
        }

        foreach (var (name, value) in status.Trailers)
        {
            Append(name, value);
        }
    }

    /// <summary>Releases the deadline's timer.</summary>
    public void Dispose()
    {
        _ended.Dispose();
        _deadline?.Dispose();
    }

    private void Append(string name, string value)
    {
        if (_hasWritten || _context.Response.HasStarted)
        {
            _context.Response.AppendTrailer(name, value);
        }
        else
        {
            _context.Response.Headers[name] = value;
        }
    }

    // The frame reader bounds the message, prefix not counted; the body limit would cut a message of exactly the allowed size.
    private static void LiftBodyLimit(HttpContext context)
    {
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = null;
        }
    }

    // Below its least rate the web server closes the whole connection, with the calls of others on it; the time for a message is bounded here, call by call.
    private static void LiftBodyRate(HttpContext context)
    {
        if (context.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate)
        {
            rate.MinDataRate = null;
        }
    }

    private static GrpcStatusException WrongCount(string found) =>
        new(GrpcStatusCode.Unimplemented, $"body: expected exactly one request message, found {found}");
}
