namespace Tessera.LoadTests.Targets;

/// <summary>How a request ended, as the client sees it.</summary>
public enum OutcomeKind
{
    /// <summary>The answer came to its end (or to the token limit).</summary>
    Succeeded,

    /// <summary>The server had no room or was draining: HTTP 429 or 503, gRPC RESOURCE_EXHAUSTED or UNAVAILABLE.</summary>
    Refused,

    /// <summary>Any other error, a broken stream or no connection.</summary>
    Failed,

    /// <summary>The time limit of this tool passed.</summary>
    TimedOut,

    /// <summary>The user ended the run meanwhile; counts nowhere.</summary>
    Interrupted,
}

/// <summary>Tokens of one response by kind, as the server counted them.</summary>
/// <param name="Prompt">Tokens of the prompt.</param>
/// <param name="Cached">Tokens of the prompt that came from the prefix cache.</param>
/// <param name="Latent">Latents; null from a server without them.</param>
/// <param name="Control">Delimiters; null from a server that does not count them.</param>
/// <param name="ReasoningText">Reasoning spelled out.</param>
/// <param name="Answer">The rest, end of sequence included.</param>
public sealed record TokenUsage(int Prompt, int Cached, int? Latent, int? Control, int ReasoningText, int Answer)
{
    /// <summary>All generated tokens.</summary>
    public int Completion => (Latent ?? 0) + (Control ?? 0) + ReasoningText + Answer;

    /// <summary>KV positions when the response ends: the last token is sampled but never run, so it is not stored.</summary>
    public int KvPositions => Math.Max(0, Prompt + Completion - 1);
}

/// <summary>What one request gave. Times count from the moment the request was to be sent.</summary>
public sealed record RequestOutcome
{
    /// <summary>How it ended.</summary>
    public required OutcomeKind Kind { get; init; }

    /// <summary>Why it did not succeed, one line; null when it did.</summary>
    public string? Error { get; init; }

    /// <summary>HTTP status of a refusal or failure; null without one.</summary>
    public int? HttpStatus { get; init; }

    /// <summary>Text of the answer so far; empty when none came.</summary>
    public string Answer { get; init; } = "";

    /// <summary>Whether the token limit ended the response.</summary>
    public bool EndedByLength { get; init; }

    /// <summary>Tokens by kind; null when the server gave none or contradicted itself.</summary>
    public TokenUsage? Usage { get; init; }

    /// <summary>What is wrong with the server's counts, with both counts; null when nothing is.</summary>
    public string? UsageProblem { get; init; }

    /// <summary>Until the first latent, reasoning or answer token; null when none came.</summary>
    public TimeSpan? TimeToFirstToken { get; init; }

    /// <summary>Until the first answer token; null when none came.</summary>
    public TimeSpan? TimeToFirstAnswerToken { get; init; }

    /// <summary>Time between tokens that follow each other in the stream.</summary>
    public IReadOnlyList<TimeSpan> InterTokenTimes { get; init; } = [];

    /// <summary>Until the end of the stream, or until it failed.</summary>
    public required TimeSpan EndToEnd { get; init; }

    /// <summary>When the request was to be sent: timestamp of the clock.</summary>
    public long IntendedTimestamp { get; init; }

    /// <summary>How much later than intended it was sent: waiting for a free connection, and the client's own lateness.</summary>
    public TimeSpan SendDelay { get; init; }

    /// <summary>(end to end - time to first token) / (completion tokens - 1): TPOT; null without usage or with fewer than two tokens.</summary>
    public TimeSpan? TimePerOutputToken =>
        TimeToFirstToken is { } first && Usage is { Completion: > 1 } usage ? (EndToEnd - first) / (usage.Completion - 1) : null;

    /// <summary>An outcome with what came so far; the caller sets how it ended.</summary>
    public static RequestOutcome From(TokenTimes tokens, string answer, TimeSpan elapsed)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        return new RequestOutcome
        {
            Kind = OutcomeKind.Failed,
            Answer = answer,
            TimeToFirstToken = tokens.First,
            TimeToFirstAnswerToken = tokens.FirstAnswer,
            InterTokenTimes = tokens.InterTokenTimes,
            EndToEnd = elapsed,
        };
    }
}
