using System.Text.Json.Serialization;
using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>Answer of <c>POST /v1/chat/completions</c> without streaming.</summary>
internal sealed record ChatCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<ChatChoice> Choices,
    UsageBody Usage, EffectiveReasoning Reasoning, EffectiveSampling Sampling, TimingsBody Timings, string SystemFingerprint)
{
    /// <summary>Ids of the prompt, <c>&lt;think&gt;</c> included, when asked for.</summary>
    public IReadOnlyList<int>? PromptTokenIds { get; init; }
}

/// <summary>One choice of an answer.</summary>
internal sealed record ChatChoice(int Index, ChatMessageBody Message, string FinishReason)
{
    /// <summary>Log probabilities; null when not asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public ChatLogprobs? Logprobs { get; init; }

    /// <summary>Generated ids in order, when asked for.</summary>
    public IReadOnlyList<int>? TokenIds { get; init; }
}

/// <summary>The message of an answer; fields that have nothing to say are left out.</summary>
/// <param name="Role">Always assistant.</param>
/// <param name="Content">The answer.</param>
/// <param name="Reasoning">Reasoning that was spelled out.</param>
/// <param name="ReasoningContent">The same under the name that other clients read.</param>
/// <param name="LatentReasoning">Reasoning in latents.</param>
internal sealed record ChatMessageBody(string Role, string Content, string? Reasoning, string? ReasoningContent, LatentReasoningBody? LatentReasoning);

/// <summary>Latent spans in order.</summary>
internal sealed record LatentReasoningBody(IReadOnlyList<LatentSpanBody> Spans)
{
    /// <summary>The latents of a choice; null when it has none.</summary>
    public static LatentReasoningBody? Of(GatheredChoice choice) => choice.Spans.Count == 0 ? null : new([.. choice.Spans.Select(LatentSpanBody.Of)]);
}

/// <summary>One run of latents.</summary>
/// <param name="Codes">Codes of the codebook.</param>
/// <param name="Hint">The hints joined: lossy text of what the span stands for.</param>
/// <param name="Hints">One hint per code; null for a code that has none.</param>
/// <param name="Confidence">Mean confidence of the hints, 0 to 1.</param>
internal sealed record LatentSpanBody(IReadOnlyList<int> Codes, string? Hint, IReadOnlyList<string?>? Hints, float? Confidence)
{
    /// <summary>A span as far as it has come.</summary>
    public static LatentSpanBody Of(GatheredSpan span) => new(
        [.. span.Codes], span.Hint, span.HintCount == 0 ? null : [.. span.Codes.Select((_, index) => span.HintAt(index)?.Hint)], span.Confidence);
}

/// <summary>One event of a streamed answer.</summary>
internal sealed record ChatChunk(string Id, string Object, long Created, string Model, IReadOnlyList<ChunkChoice> Choices, string SystemFingerprint)
{
    /// <summary>Only in the first chunk, and only when asked for.</summary>
    public IReadOnlyList<int>? PromptTokenIds { get; init; }

    /// <summary>Only in the last chunk and only when asked for, or in every chunk when asked for that.</summary>
    public UsageBody? Usage { get; init; }

    /// <summary>Only in the first chunk.</summary>
    public EffectiveReasoning? Reasoning { get; init; }

    /// <summary>Only in the first chunk.</summary>
    public EffectiveSampling? Sampling { get; init; }

    /// <summary>Only in the chunk with the finish reason.</summary>
    public TimingsBody? Timings { get; init; }
}

/// <summary>The choice of a chunk.</summary>
internal sealed record ChunkChoice(int Index, ChunkDelta Delta)
{
    /// <summary>Log probabilities of what the chunk adds, when asked for.</summary>
    public ChatLogprobs? Logprobs { get; init; }

    /// <summary>Ids of what the chunk adds, when asked for.</summary>
    public IReadOnlyList<int>? TokenIds { get; init; }

    /// <summary>stop or length in the last chunk of the choice; null before.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }
}

/// <summary>What a chunk adds to the message.</summary>
internal sealed record ChunkDelta
{
    /// <summary>assistant, in the first chunk.</summary>
    public string? Role { get; init; }

    /// <summary>A part of the answer.</summary>
    public string? Content { get; init; }

    /// <summary>A part of the reasoning that is spelled out.</summary>
    public string? Reasoning { get; init; }

    /// <summary>The same under the name that other clients read.</summary>
    public string? ReasoningContent { get; init; }

    /// <summary>A latent, or the hint of one sent before.</summary>
    public LatentDeltaBody? LatentReasoning { get; init; }
}

/// <summary>A latent, or with <paramref name="Hint"/> what the codebook decoder reads in a latent sent before.</summary>
/// <param name="Span">Which latent span, from 0.</param>
/// <param name="Index">Position inside the span, from 0.</param>
/// <param name="Codes">Its code.</param>
/// <param name="Hint">Lossy text.</param>
/// <param name="Confidence">0 to 1.</param>
internal sealed record LatentDeltaBody(int Span, int Index, IReadOnlyList<int> Codes, string? Hint = null, float? Confidence = null);

/// <summary>What the server does with the reasoning fields, after defaults and limits; null = no limit.</summary>
internal sealed record EffectiveReasoning(
    string Mode,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] int? LatentBudget,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] int? ThinkingBudget,
    bool Explain,
    int MaxTokens)
{
    /// <summary>The effective values of a request.</summary>
    public static EffectiveReasoning Of(GenerationRequest request) => new(
        request.Reasoning.Mode switch
        {
            ReasoningMode.Auto => "auto",
            ReasoningMode.Latent => "latent",
            ReasoningMode.Text => "text",
            ReasoningMode.None => "none",
            _ => throw new ArgumentOutOfRangeException(nameof(request), request.Reasoning.Mode, null),
        },
        request.Reasoning.LatentBudget,
        request.Reasoning.ThinkingBudget,
        request.Reasoning.Explain,
        request.MaxTokens);
}

/// <summary>What the server does with the sampling fields, after defaults.</summary>
internal sealed record EffectiveSampling(
    float Temperature, int TopK, float TopP, ulong Seed, float MinP, float RepetitionPenalty, float FrequencyPenalty, float PresencePenalty, int MinTokens, int N)
{
    /// <summary>The effective values of a request.</summary>
    public static EffectiveSampling Of(GenerationRequest request)
    {
        var sampling = request.Sampling;
        return new(
            sampling.Temperature, sampling.TopK, sampling.TopP, sampling.Seed, sampling.MinP, sampling.RepetitionPenalty, sampling.FrequencyPenalty,
            sampling.PresencePenalty, request.MinTokens, request.N);
    }
}

/// <summary>Where the time went, in milliseconds.</summary>
internal sealed record TimingsBody(double QueueMs, double PrefillMs, double TimeToFirstTokenMs, double InterTokenMs, double TotalMs)
{
    /// <summary>The timings of a finished request.</summary>
    public static TimingsBody Of(Timings timings) => new(
        timings.Queue.TotalMilliseconds,
        timings.Prefill.TotalMilliseconds,
        timings.TimeToFirstToken.TotalMilliseconds,
        timings.InterTokenTime.TotalMilliseconds,
        timings.Total.TotalMilliseconds);
}
