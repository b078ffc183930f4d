using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>Sends a response as server-sent events: one chunk per event, comments while nothing happens, <c>[DONE]</c> after an end that is no error.</summary>
internal sealed class ChatStream
{
    private static ReadOnlySpan<byte> DataPrefix => "data: "u8;

    private static ReadOnlySpan<byte> EventEnd => "\n\n"u8;

    private static ReadOnlySpan<byte> Done => "data: [DONE]\n\n"u8;

    private static ReadOnlySpan<byte> KeepAlive => ": keep-alive\n\n"u8;

    private readonly HttpContext _context;
    private readonly TimeSpan _keepAlive;
    private readonly TimeProvider _timeProvider;

    private ChatStream(HttpContext context, TimeSpan keepAlive, TimeProvider timeProvider)
    {
        _context = context;
        _keepAlive = keepAlive;
        _timeProvider = timeProvider;
    }

    /// <summary>Streams a generation to its end.</summary>
    /// <exception cref="OperationCanceledException">The client went away.</exception>
    public static async Task WriteAsync(
        HttpContext context, ChatResponse response, Generation generation, bool includeUsage, ServerOptions options, TimeProvider timeProvider, ILogger logger)
    {
        var stream = new ChatStream(context, TimeSpan.FromSeconds(options.KeepAliveSeconds), timeProvider);
        stream.Start();
        try
        {
            var finished = await stream.CopyAsync(response, generation).ConfigureAwait(false);
            if (ApiFailure.FromFinished(finished) is { } error)
            {
                Log.GenerationEndedWithError(logger, context.TraceIdentifier, error.Entry.Code);
                await stream.FailAsync(error).ConfigureAwait(false);
                return;
            }
            await stream.EndAsync(response, finished, includeUsage).ConfigureAwait(false);
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

    private async Task<FinishedEvent> CopyAsync(ChatResponse response, Generation generation)
    {
        Send(response.Opening(), RestJson.Wire.ChatChunk);
        await FlushAsync().ConfigureAwait(false);
        FinishedEvent? finished = null;
        while (await WaitAsync(generation).ConfigureAwait(false))
        {
            while (generation.Events.TryRead(out var happened))
            {
                finished = happened as FinishedEvent ?? finished;
                if ((finished is null || ApiFailure.FromFinished(finished) is null) && response.ToChunk(happened) is { } chunk)
                {
                    Send(chunk, RestJson.Wire.ChatChunk);
                }
            }
            await FlushAsync().ConfigureAwait(false);
        }
        return finished ?? throw new InvalidOperationException("The events of a request ended without a final one.");
    }

    /// <summary>Waits for events; false after the last one.</summary>
    private async Task<bool> WaitAsync(Generation generation)
    {
        var events = generation.Events.WaitToReadAsync(_context.RequestAborted).AsTask();
        while (true)
        {
            try
            {
                return await events.WaitAsync(_keepAlive, _timeProvider).ConfigureAwait(false);
            }
            catch (TimeoutException) when (!events.IsCompleted)
            {
                _context.Response.BodyWriter.Write(KeepAlive);
                await FlushAsync().ConfigureAwait(false);
            }
        }
    }

    private async Task EndAsync(ChatResponse response, FinishedEvent finished, bool includeUsage)
    {
        if (includeUsage)
        {
            Send(response.UsageChunk(finished), RestJson.Wire.ChatChunk);
        }
        _context.Response.BodyWriter.Write(Done);
        await FlushAsync().ConfigureAwait(false);
    }

    private async Task FailAsync(ApiFailure error)
    {
        Send(ErrorBody.Of(error), RestJson.Wire.ErrorBody);
        await FlushAsync().ConfigureAwait(false);
    }

    private void Send<T>(T body, JsonTypeInfo<T> type)
    {
        var writer = _context.Response.BodyWriter;
        writer.Write(DataPrefix);
        // Serialised JSON has no line breaks, so one data line holds it.
        writer.Write(JsonSerializer.SerializeToUtf8Bytes(body, type));
        writer.Write(EventEnd);
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
