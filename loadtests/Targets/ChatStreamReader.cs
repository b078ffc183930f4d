using System.Net.ServerSentEvents;
using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>Reads the server-sent events of one chat completion.</summary>
public static class ChatStreamReader
{
    private static ReadOnlySpan<byte> EndMark => "[DONE]"u8;

    /// <summary>Reads to the end mark; anything that is not the promised stream is a failure with a reason.</summary>
    /// <param name="stream">The response body.</param>
    /// <param name="state">Takes the chunks.</param>
    /// <param name="elapsed">Time since the request was to be sent.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async Task<RequestOutcome> ReadAsync(Stream stream, ChatStreamState state, Func<TimeSpan> elapsed, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(elapsed);
        var parser = SseParser.Create(stream, Parse);
        await foreach (var item in parser.EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            var now = elapsed();
            var chunk = item.Data;
            if (chunk.IsEnd)
            {
                return state.IsFinished
                    ? state.Succeed(now)
                    : state.Fail(OutcomeKind.Failed, "the stream ended without a finish reason", now);
            }

            if (chunk.Json is null)
            {
                return state.Fail(OutcomeKind.Failed, "a stream event is not JSON", now);
            }

            using (chunk.Json)
            {
                state.Take(chunk.Json.RootElement, now);
            }

            if (state.Error is { } error)
            {
                return state.Fail(OutcomeKind.Failed, error, now);
            }
        }

        return state.Fail(OutcomeKind.Failed, "the stream ended without its end mark [DONE]", elapsed());
    }

    // Straight from the bytes: at thousands of tokens per second a text of each event would be most of what this tool costs.
    private static Chunk Parse(string eventType, ReadOnlySpan<byte> data)
    {
        if (data.SequenceEqual(EndMark))
        {
            return new Chunk(IsEnd: true, null);
        }

        try
        {
            var reader = new Utf8JsonReader(data);
            var json = JsonDocument.ParseValue(ref reader);
            if (!reader.Read())
            {
                return new Chunk(IsEnd: false, json);
            }

            json.Dispose();
        }
        catch (JsonException)
        {
            // Said by the reader of the stream.
        }

        return new Chunk(IsEnd: false, null);
    }

    private readonly record struct Chunk(bool IsEnd, JsonDocument? Json);
}
