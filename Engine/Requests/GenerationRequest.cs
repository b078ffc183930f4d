using System.Diagnostics.CodeAnalysis;
using Tessera.Models;

namespace Tessera.Engine.Requests;

/// <summary>How a response may reason.</summary>
public enum ReasoningMode
{
    /// <summary>The model chooses.</summary>
    Auto,

    /// <summary><c>&lt;boLatent&gt;</c> is forced.</summary>
    Latent,

    /// <summary>Plain chain of thought: <c>&lt;boLatent&gt;</c> forbidden, and some text required before <c>&lt;/think&gt;</c>.</summary>
    Text,

    /// <summary><c>&lt;/think&gt;</c> is forced: the answer alone.</summary>
    None,
}

/// <summary>One thing wrong with a request.</summary>
/// <param name="Field">The caller's name of the field.</param>
/// <param name="Message">What is allowed and what was given.</param>
public sealed record FieldProblem(string Field, string Message);

/// <summary>Reasoning of a valid request.</summary>
/// <param name="Mode">How the response may reason.</param>
/// <param name="LatentBudget">Latents after which <c>&lt;eoLatent&gt;</c> is forced; null = no limit.</param>
/// <param name="ThinkingBudget">Reasoning tokens after which <c>&lt;/think&gt;</c> is forced; null = no limit.</param>
/// <param name="Explain">Whether latents get hints.</param>
public sealed record ReasoningOptions(ReasoningMode Mode, int? LatentBudget, int? ThinkingBudget, bool Explain);

/// <summary>Where the answer of a valid request ends.</summary>
/// <param name="StopTokenIds">Ids that end it.</param>
/// <param name="MinTokens">Generated tokens before which nothing ends it.</param>
internal sealed record AnswerEnd(IReadOnlyList<int> StopTokenIds, int MinTokens)
{
    /// <summary>The end token alone.</summary>
    public static readonly AnswerEnd Default = new([], 0);
}

/// <summary>Sampling of a valid request.</summary>
/// <param name="Temperature">0 = greedy.</param>
/// <param name="TopK">0 = off.</param>
/// <param name="TopP">1 = off.</param>
/// <param name="Seed">Same seed, same tokens, in any batch. Response c of n uses the seed plus c.</param>
public sealed record SamplingOptions(float Temperature, int TopK, float TopP, ulong Seed)
{
    /// <summary>Least probability of a candidate as a part of the best one's; 0 = off.</summary>
    public float MinP { get; init; }

    /// <summary>Divides positive logits of text ids of prompt and response, multiplies negative ones; 1 = off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Taken from the logit of a text id for each time the response has it; 0 = off.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Taken from the logit of a text id that the response has; 0 = off.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>Added to the logits of ids; null = off.</summary>
    public IReadOnlyDictionary<int, float>? LogitBias
    {
        get;
        init
        {
            field = value;
            BiasEntries = value is null ? [] : [.. value];
        }
    }

    /// <summary>The bias as the sampler walks over it.</summary>
    internal KeyValuePair<int, float>[] BiasEntries { get; private init; } = [];

    /// <summary>Whether logits depend on what the sequence has said.</summary>
    internal bool HasPenalties => RepetitionPenalty != 1 || FrequencyPenalty != 0 || PresencePenalty != 0;
}

/// <summary>What a client asked for, after validation: every value is in range and effective.</summary>
public sealed class GenerationRequest
{
    private GenerationRequest(EffectiveRequest effective)
    {
        RequestId = effective.RequestId;
        PromptIds = effective.PromptIds;
        MaxTokens = effective.MaxTokens;
        Reasoning = effective.Reasoning;
        Sampling = effective.Sampling;
        Stop = effective.Stop;
        StopTokenIds = effective.Extent.StopTokenIds;
        MinTokens = effective.Extent.MinTokens;
        Logprobs = effective.Extent.Logprobs;
        N = effective.Extent.N;
        Timeout = effective.Extent.Timeout;
        CacheSalt = effective.Extent.CacheSalt;
    }

    /// <summary>Id that the client sees.</summary>
    public string RequestId { get; }

    /// <summary>Prompt ids, <c>&lt;think&gt;</c> not included.</summary>
    public IReadOnlyList<int> PromptIds { get; }

    /// <summary>Tokens to generate at most.</summary>
    public int MaxTokens { get; }

    /// <summary>Reasoning options.</summary>
    public ReasoningOptions Reasoning { get; }

    /// <summary>Sampling options.</summary>
    public SamplingOptions Sampling { get; }

    /// <summary>Texts that end the answer; never matched inside latents or reasoning.</summary>
    public IReadOnlyList<string> Stop { get; }

    /// <summary>Ids that end the answer; without effect inside reasoning.</summary>
    public IReadOnlyList<int> StopTokenIds { get; }

    /// <summary>Generated tokens before which nothing ends the answer; 0 = off.</summary>
    public int MinTokens { get; }

    /// <summary>What ends the answer beside stop strings.</summary>
    internal AnswerEnd End => new(StopTokenIds, MinTokens);

    /// <summary>Alternatives to report for each token; null = no log probabilities.</summary>
    public int? Logprobs { get; }

    /// <summary>Responses to the prompt.</summary>
    public int N { get; }

    /// <summary>Time from submission after which the request ends; null = no limit.</summary>
    public TimeSpan? Timeout { get; }

    /// <summary>Only requests with the same salt share cached prompt prefixes.</summary>
    public string? CacheSalt { get; }

    /// <summary>Positions of the prompt in the KV cache: the prompt ids and <c>&lt;think&gt;</c>.</summary>
    internal int PromptPositions => PromptIds.Count + 1;

    /// <summary>Most positions that one response of the request can take: the prompt and every token it may generate.</summary>
    internal int WorstCasePositions => PromptPositions + MaxTokens;

    /// <summary>Checks a request and fills in defaults. Reports all problems together.</summary>
    /// <param name="input">What the client sent.</param>
    /// <param name="package">The model: tokenizer, chat format, positions, sampling defaults.</param>
    /// <param name="options">Limits.</param>
    /// <param name="names">The caller's field names.</param>
    /// <param name="request">The valid request.</param>
    /// <param name="problems">All problems, when there are any.</param>
    /// <param name="seedSource">Gives a seed below 2^53 to a sampled request without one; null = the process's random numbers.</param>
    public static bool TryCreate(
        GenerationInput input, ModelPackage package, EngineOptions options, GenerationFieldNames names,
        [NotNullWhen(true)] out GenerationRequest? request, out IReadOnlyList<FieldProblem> problems, Func<ulong>? seedSource = null)
    {
        var reader = new RequestReader(input, package, options, names, seedSource ?? DefaultSeed);
        request = reader.Read() is { } effective ? new GenerationRequest(effective) : null;
        problems = reader.Problems;
        return request is not null;
    }

    private static ulong DefaultSeed() => (ulong)Random.Shared.NextInt64(RequestReader.SeedLimit);
}

/// <summary>The values of a valid request, on their way from the reader into the request.</summary>
internal sealed record EffectiveRequest(
    string RequestId, int[] PromptIds, int MaxTokens, ReasoningOptions Reasoning, SamplingOptions Sampling, IReadOnlyList<string> Stop, RequestExtent Extent);

/// <summary>How many responses, how long, and what comes with them.</summary>
internal sealed record RequestExtent(IReadOnlyList<int> StopTokenIds, int MinTokens, int? Logprobs, int N, TimeSpan? Timeout, string? CacheSalt);
