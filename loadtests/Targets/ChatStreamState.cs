using System.Text;
using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>Takes the JSON chunks of one chat completion stream, each with the time it arrived, and keeps what is measured.</summary>
/// <param name="expectsLatentUsage">Whether the usage must split the tokens by kind, as a Tessera server's does.</param>
public sealed class ChatStreamState(bool expectsLatentUsage = true)
{
    private readonly StringBuilder _answer = new();
    private readonly HashSet<(int Span, int Index)> _latents = [];
    private readonly TokenTimes _tokens = new();
    private string? _finishReason;
    private UsageReading? _usage;

    /// <summary>The message of an error event; null when none came.</summary>
    public string? Error { get; private set; }

    /// <summary>Whether the chunk with the finish reason came.</summary>
    public bool IsFinished => _finishReason is not null;

    /// <summary>Takes one chunk.</summary>
    /// <param name="chunk">The chunk.</param>
    /// <param name="elapsed">Time since the request was to be sent.</param>
    public void Take(JsonElement chunk, TimeSpan elapsed)
    {
        if (chunk.ValueKind != JsonValueKind.Object)
        {
            Error = "a stream event is not a JSON object";
            return;
        }

        if (chunk.TryGetProperty("error", out var error) && error.ValueKind is not JsonValueKind.Null)
        {
            Error = ErrorBody.Describe(error);
            return;
        }

        if (chunk.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
        {
            _usage = UsageReading.Read(usage);
        }

        if (!chunk.TryGetProperty("choices", out var choices) || choices.ValueKind != JsonValueKind.Array || choices.GetArrayLength() == 0)
        {
            return;
        }

        var choice = choices[0];
        if (choice.TryGetObject("delta", out var delta))
        {
            TakeDelta(delta, elapsed);
        }

        _finishReason = choice.ReadString("finish_reason") ?? _finishReason;
    }

    /// <summary>The outcome of a stream that came to its end.</summary>
    /// <param name="elapsed">Time since the request was to be sent.</param>
    public RequestOutcome Succeed(TimeSpan elapsed)
    {
        var (usage, problem) = UsageCheck.Check(_usage, _tokens, expectsLatentUsage);
        return Snapshot(elapsed) with { Kind = OutcomeKind.Succeeded, EndedByLength = _finishReason == "length", Usage = usage, UsageProblem = problem };
    }

    /// <summary>The outcome of a stream that did not come to its end.</summary>
    public RequestOutcome Fail(OutcomeKind kind, string error, TimeSpan elapsed, int? httpStatus = null) =>
        Snapshot(elapsed) with { Kind = kind, Error = error, HttpStatus = httpStatus };

    private RequestOutcome Snapshot(TimeSpan elapsed) => RequestOutcome.From(_tokens, _answer.ToString(), elapsed);

    private void TakeDelta(JsonElement delta, TimeSpan elapsed)
    {
        if (delta.TryGetObject("latent_reasoning", out var latents))
        {
            _tokens.TakeLatents(CountNewLatents(latents), elapsed);
        }

        // Both names carry the same text.
        if (!string.IsNullOrEmpty(delta.ReadString("reasoning") ?? delta.ReadString("reasoning_content")))
        {
            _tokens.TakeReasoningText(1, elapsed);
        }

        if (delta.ReadString("content") is { Length: > 0 } content)
        {
            _answer.Append(content);
            _tokens.TakeAnswer(1, elapsed);
        }
    }

    // A hint that follows its latent repeats span and index and is no token.
    private int CountNewLatents(JsonElement latents)
    {
        if (!latents.TryGetProperty("codes", out var codes) || codes.ValueKind != JsonValueKind.Array)
        {
            return 0;
        }

        var span = latents.ReadInt("span") ?? 0;
        var first = latents.ReadInt("index") ?? _latents.Count;
        var added = 0;
        for (var i = 0; i < codes.GetArrayLength(); i++)
        {
            added += _latents.Add((span, first + i)) ? 1 : 0;
        }

        return added;
    }
}
