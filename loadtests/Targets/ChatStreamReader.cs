using System.Net.ServerSentEvents;
using System.Text;
using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>Reads the server-sent events of one chat completion.</summary>
public static class ChatStreamReader
{
    private const string EndMark = "[DONE]";

    /// <summary>Reads to the end mark; anything that is not the promised stream is a failure with a reason.</summary>
    /// <param name="stream">The response body.</param>
    /// <param name="state">Takes the chunks.</param>
    /// <param name="elapsed">Time since the request was to be sent.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async Task<RequestOutcome> ReadAsync(Stream stream, ChatStreamState state, Func<TimeSpan> elapsed, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(elapsed);
        var parser = SseParser.Create(stream, static (_, data) => Encoding.UTF8.GetString(data));
        await foreach (var item in parser.EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            var now = elapsed();
            if (item.Data == EndMark)
            {
                return state.IsFinished
                    ? state.Succeed(now)
                    : state.Fail(OutcomeKind.Failed, "the stream ended without a finish reason", now);
            }

            if (!TryTake(item.Data, state, now))
            {
                return state.Fail(OutcomeKind.Failed, "a stream event is not JSON", now);
            }

            if (state.Error is { } error)
            {
                return state.Fail(OutcomeKind.Failed, error, now);
            }
        }

        return state.Fail(OutcomeKind.Failed, "the stream ended without its end mark [DONE]", elapsed());
    }

    private static bool TryTake(string data, ChatStreamState state, TimeSpan elapsed)
    {
        try
        {
            using var chunk = JsonDocument.Parse(data);
            state.Take(chunk.RootElement, elapsed);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
