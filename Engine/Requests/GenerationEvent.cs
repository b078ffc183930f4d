using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Requests;

/// <summary>One thing that happened to a request. The order is: Accepted, then deltas, then exactly one Finished.</summary>
public abstract record GenerationEvent
{
    /// <summary>Which of the request's n responses it is about, from 0; 0 for events of the whole request.</summary>
    public int Choice { get; init; }
}

/// <summary>How probable a token was.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Logprob">Natural logarithm of its probability, at least -9999.</param>
/// <param name="Top">The most probable ids at its place, best first; as many as were asked for.</param>
/// <remarks>
/// Of the distribution that the model's logits give over the whole vocabulary, before grammar, bias, penalties, temperature and truncation: what a token's
/// log probability says about the model does not depend on how it was sampled.
/// </remarks>
public sealed record TokenLogprob(int Id, float Logprob, IReadOnlyList<(int Id, float Logprob)> Top);

/// <summary>The request has a slot.</summary>
/// <param name="PromptTokens">Tokens of the prompt, <c>&lt;think&gt;</c> included.</param>
public sealed record AcceptedEvent(int PromptTokens) : GenerationEvent;

/// <summary>A latent was generated.</summary>
/// <param name="Span">Which latent span of the response, from 0.</param>
/// <param name="Index">Position inside the span, from 0.</param>
/// <param name="Code">Code of the codebook.</param>
public sealed record LatentEvent(int Span, int Index, int Code) : GenerationEvent
{
    /// <summary>One entry per id, when the request asked for them; null otherwise.</summary>
    public IReadOnlyList<TokenLogprob>? Logprobs { get; init; }
}

/// <summary>The codebook decoder has read a latent that was sent before.</summary>
/// <param name="Span">Span of the latent.</param>
/// <param name="Index">Position of the latent inside the span.</param>
/// <param name="Code">Code of the codebook.</param>
/// <param name="Hint">Lossy text of what the latent stands for.</param>
/// <param name="Confidence">Mean probability of the hint's tokens, 0 to 1.</param>
public sealed record LatentHintEvent(int Span, int Index, int Code, string Hint, float Confidence) : GenerationEvent;

/// <summary>Reasoning spelled out.</summary>
/// <param name="Text">Whole UTF-8 characters; may be empty while a character is unfinished.</param>
/// <param name="TokenIds">Ids behind it.</param>
public sealed record ReasoningTextEvent(string Text, IReadOnlyList<int> TokenIds) : GenerationEvent
{
    /// <summary>One entry per id, when the request asked for them; null otherwise.</summary>
    public IReadOnlyList<TokenLogprob>? Logprobs { get; init; }
}

/// <summary>A part of the answer.</summary>
/// <param name="Text">Whole UTF-8 characters; may be empty while a character is unfinished.</param>
/// <param name="TokenIds">Ids behind it.</param>
public sealed record AnswerTextEvent(string Text, IReadOnlyList<int> TokenIds) : GenerationEvent
{
    /// <summary>One entry per id, when the request asked for them; null otherwise.</summary>
    public IReadOnlyList<TokenLogprob>? Logprobs { get; init; }
}

/// <summary>Why a response ended.</summary>
public enum FinishReason
{
    /// <summary>The model ended it, or a stop string did.</summary>
    Stop,

    /// <summary>max_tokens or the model's positions were reached.</summary>
    Length,

    /// <summary>The client went away or cancelled.</summary>
    Cancelled,

    /// <summary>A step failed; the message is in <see cref="FinishedEvent.Error"/>.</summary>
    Error,

    /// <summary>The server is shutting down.</summary>
    Shutdown,

    /// <summary>The request's time limit was reached.</summary>
    Deadline,
}

/// <summary>One of several responses ended; for requests with n above 1, before the one <see cref="FinishedEvent"/>.</summary>
/// <param name="Reason">Why it ended.</param>
/// <param name="Usage">Its tokens by kind.</param>
/// <param name="Savings">Against plain chain of thought.</param>
public sealed record ChoiceFinishedEvent(FinishReason Reason, Usage Usage, Savings Savings) : GenerationEvent;

/// <summary>The last event of every request.</summary>
/// <param name="Reason">Why it ended.</param>
/// <param name="Usage">Tokens by kind.</param>
/// <param name="Savings">Against plain chain of thought.</param>
/// <param name="Timings">Where the time went.</param>
/// <param name="Error">A sentence for the client when <paramref name="Reason"/> is Error; never exception text.</param>
public sealed record FinishedEvent(FinishReason Reason, Usage Usage, Savings Savings, Timings Timings, string? Error = null) : GenerationEvent
{
    /// <summary>Latent spans of the response.</summary>
    public int LatentSpanCount { get; init; }

    /// <summary>Whether hints were wanted but did not come in time.</summary>
    public bool AreHintsDropped { get; init; }

    /// <summary>The end of several requests that are answered together: all their tokens, and the reason that a client must know about first.</summary>
    /// <param name="ends">At least one.</param>
    public static FinishedEvent Sum(IReadOnlyList<FinishedEvent> ends)
    {
        var all = Ending.Sum([.. ends.Select(end => new Ending(end.Reason, end.Usage, 0, end.Timings, end.Error))]);
        var usage = all.Usage with { PromptTokens = ends.Sum(end => end.Usage.PromptTokens), CachedTokens = ends.Sum(end => end.Usage.CachedTokens) };
        return new FinishedEvent(all.Reason, usage, SavingsCalculator.Sum(usage, [.. ends.Select(end => end.Savings)]), all.Timings, all.Error)
        {
            LatentSpanCount = ends.Sum(end => end.LatentSpanCount),
            AreHintsDropped = ends.Any(end => end.AreHintsDropped),
        };
    }
}

/// <summary>Tokens of a response by kind; <c>completion = latent + control + reasoning text + answer</c> always. <c>&lt;eos&gt;</c> counts as answer.</summary>
public sealed record Usage(int PromptTokens, int CachedTokens, int LatentTokens, int ControlTokens, int ReasoningTextTokens, int AnswerTokens)
{
    /// <summary>All generated tokens.</summary>
    public int CompletionTokens => LatentTokens + ControlTokens + ReasoningTextTokens + AnswerTokens;

    /// <summary>Generated tokens up to and including <c>&lt;/think&gt;</c>.</summary>
    public int ReasoningTokens => LatentTokens + ControlTokens + ReasoningTextTokens;
}

/// <summary>Baseline minus actual. The baseline spells every latent out and has no latent delimiters.</summary>
/// <param name="LatentTokens">Latents in the response.</param>
/// <param name="TextEquivalentTokens">Text tokens that they stand for.</param>
/// <param name="TokensSaved">Text equivalent minus latents and their delimiters; may be negative.</param>
/// <param name="FractionSaved">Tokens saved over the baseline's completion tokens; 0 when there is none.</param>
/// <param name="StepsSaved">Model steps saved (a latent still costs a step).</param>
/// <param name="KvBytesSaved">Bytes of keys and values saved.</param>
/// <param name="SecondsSaved">Steps saved times this request's own mean inter-token time.</param>
/// <param name="Basis">What the figures rest on.</param>
public sealed record Savings(
    int LatentTokens, double TextEquivalentTokens, double TokensSaved, double FractionSaved, double StepsSaved, double KvBytesSaved, double SecondsSaved, SavingsBasis Basis);

/// <summary>What savings rest on; never present one as the other.</summary>
public enum SavingsBasis
{
    /// <summary>From the manifest's text tokens per latent or the decoded hint lengths.</summary>
    Estimated,

    /// <summary>From running the same prompt in text mode.</summary>
    MeasuredPair,
}

/// <summary>Where the time of one request went.</summary>
/// <param name="Queue">Until it had a slot.</param>
/// <param name="Prefill">From the slot to the first token.</param>
/// <param name="TimeToFirstToken">From submission to the first generated token of any kind.</param>
/// <param name="InterTokenTime">Mean time between generated tokens; zero with fewer than two.</param>
/// <param name="Total">From submission to the end.</param>
public sealed record Timings(TimeSpan Queue, TimeSpan Prefill, TimeSpan TimeToFirstToken, TimeSpan InterTokenTime, TimeSpan Total);
