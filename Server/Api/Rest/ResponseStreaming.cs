using System.Threading.Channels;
using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>Sends a response as server-sent events, with comments while nothing happens.</summary>
internal sealed class ResponseStreaming
{
    private readonly HttpContext _context;
    private readonly ResponseWriter _writer;
    private readonly GatheredResponse _response;
    private readonly EventSink _sink;
    private readonly TimeSpan _keepAlive;
    private readonly TimeProvider _timeProvider;

    private ResponseStreaming(HttpContext context, ResponseWriter writer, GatheredResponse response, TimeSpan keepAlive, TimeProvider timeProvider)
    {
        _context = context;
        _writer = writer;
        _response = response;
        _sink = new EventSink(context.Response.BodyWriter);
        _keepAlive = keepAlive;
        _timeProvider = timeProvider;
    }

    /// <summary>Streams a generation to its end.</summary>
    /// <exception cref="OperationCanceledException">The client went away.</exception>
    public static async Task WriteAsync(
        HttpContext context, ResponseWriter writer, GatheredResponse response, ChannelReader<GenerationEvent> events, ServerOptions options, TimeProvider timeProvider,
        ILogger logger)
    {
        var stream = new ResponseStreaming(context, writer, response, TimeSpan.FromSeconds(options.KeepAliveSeconds), timeProvider);
        stream.Start();
        try
        {
            await stream.CopyAsync(events).ConfigureAwait(false);
            if (ApiFailure.FromFinished(response.Finished) is { } error)
            {
                Log.GenerationEndedWithError(logger, context.TraceIdentifier, error.Entry.Code);
                await stream.FailAsync(error).ConfigureAwait(false);
                return;
            }
            writer.Close(stream._sink, response);
            await stream.FlushAsync().ConfigureAwait(false);
        }
        catch (Exception e) when (e is not OperationCanceledException && !context.RequestAborted.IsCancellationRequested)
        {
            Log.RequestFailed(logger, context.TraceIdentifier, e);
            await stream.FailAsync(ApiFailure.Internal).ConfigureAwait(false);
        }
    }

    private void Start()
    {
        var headers = _context.Response.Headers;
        _context.Response.StatusCode = StatusCodes.Status200OK;
        headers.ContentType = "text/event-stream; charset=utf-8";
        headers.CacheControl = "no-cache";
        // Reverse proxies of the nginx family would otherwise gather events before they pass them on.
        headers["X-Accel-Buffering"] = "no";
    }

    private async Task CopyAsync(ChannelReader<GenerationEvent> events)
    {
        _writer.Open(_sink, _response);
        await FlushAsync().ConfigureAwait(false);
        while (await WaitAsync(events).ConfigureAwait(false))
        {
            while (_context.Response.BodyWriter.UnflushedBytes < RestResponse.PieceBytes && events.TryRead(out var happened))
            {
                _response.Add(happened);
                if (!GatheredResponse.IsFailedEnd(happened))
                {
                    _writer.Write(_sink, happened, _response);
                }
            }
            await FlushAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Waits for events; false after the last one.</summary>
    private async Task<bool> WaitAsync(ChannelReader<GenerationEvent> events)
    {
        var next = events.WaitToReadAsync(_context.RequestAborted).AsTask();
        while (true)
        {
            try
            {
                return await next.WaitAsync(_keepAlive, _timeProvider).ConfigureAwait(false);
            }
            catch (TimeoutException) when (!next.IsCompleted)
            {
                _sink.SendKeepAlive();
                await FlushAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task FailAsync(ApiFailure error)
    {
        _writer.Fail(_sink, error, _response);
        await FlushAsync().ConfigureAwait(false);
    }

    private async Task FlushAsync()
    {
        var flushed = await _context.Response.BodyWriter.FlushAsync(_context.RequestAborted).ConfigureAwait(false);
        if (flushed.IsCompleted || flushed.IsCanceled)
        {
            // The client has closed its end, whether or not the abort was noticed already.
            throw new OperationCanceledException("The client went away.", _context.RequestAborted);
        }
    }
}
