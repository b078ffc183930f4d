using System.Text.Json.Serialization;

namespace Tessera.Server.Api.Rest;

/// <summary>Answer of <c>POST /v1/completions</c>, and in a stream each of its chunks.</summary>
internal sealed record TextCompletion(
    string Id, string Object, long Created, string Model, IReadOnlyList<CompletionChoice> Choices, string SystemFingerprint)
{
    /// <summary>In a whole answer; in a stream only when asked for.</summary>
    public UsageBody? Usage { get; init; }

    /// <summary>In a whole answer and in the first chunk.</summary>
    public EffectiveReasoning? Reasoning { get; init; }

    /// <summary>In a whole answer and in the first chunk.</summary>
    public EffectiveSampling? Sampling { get; init; }

    /// <summary>In a whole answer and in the chunk that ends the last choice.</summary>
    public TimingsBody? Timings { get; init; }

    /// <summary>Ids of the prompt, <c>&lt;think&gt;</c> included, when asked for; with several prompts each choice has its own.</summary>
    public IReadOnlyList<int>? PromptTokenIds { get; init; }
}

/// <summary>One completion, or what a chunk adds to it.</summary>
/// <param name="Index">Which choice.</param>
/// <param name="Text">The answer, or a part of it.</param>
internal sealed record CompletionChoice(int Index, string Text)
{
    /// <summary>stop or length; null in a stream before the end.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public string? FinishReason { get; init; }

    /// <summary>Of the tokens of the answer; null when not asked for.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public CompletionLogprobs? Logprobs { get; init; }

    /// <summary>Reasoning that was spelled out, or a part of it.</summary>
    public string? Reasoning { get; init; }

    /// <summary>The same under the name that other clients read.</summary>
    public string? ReasoningContent { get; init; }

    /// <summary>Reasoning in latents: all spans in a whole answer.</summary>
    public LatentReasoningBody? LatentReasoning { get; init; }

    /// <summary>In a stream: a latent, or the hint of one sent before.</summary>
    public LatentDeltaBody? LatentDelta { get; init; }

    /// <summary>Generated ids in order, when asked for.</summary>
    public IReadOnlyList<int>? TokenIds { get; init; }

    /// <summary>With several prompts: ids of the choice's prompt, when asked for; in a stream in its first chunk.</summary>
    public IReadOnlyList<int>? PromptTokenIds { get; init; }
}
