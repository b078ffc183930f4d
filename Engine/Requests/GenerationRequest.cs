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

/// <summary>What a client asked for, before any check; null = not given. Numbers are wide so that out-of-range values can be named, not truncated.</summary>
public sealed record GenerationInput
{
    /// <summary>Id to echo; made up when null.</summary>
    public string? RequestId { get; init; }

    /// <summary>Prompt used as it is; exactly one of this and <see cref="Chat"/>.</summary>
    public string? Prompt { get; init; }

    /// <summary>Messages rendered with the package's chat format.</summary>
    public IReadOnlyList<ChatTurn>? Chat { get; init; }

    /// <summary>Tokens to generate at most, reasoning included.</summary>
    public double? MaxTokens { get; init; }

    /// <summary>auto, latent, text or none.</summary>
    public string? Mode { get; init; }

    /// <summary>Latents after which <c>&lt;eoLatent&gt;</c> is forced; 0 = no latent span at all in auto mode.</summary>
    public double? LatentBudget { get; init; }

    /// <summary>Reasoning tokens after which <c>&lt;/think&gt;</c> is forced.</summary>
    public double? ThinkingBudget { get; init; }

    /// <summary>Whether latents get hints.</summary>
    public bool? Explain { get; init; }

    /// <summary>0 (greedy) to 2.</summary>
    public double? Temperature { get; init; }

    /// <summary>0 = off.</summary>
    public double? TopK { get; init; }

    /// <summary>In (0, 1].</summary>
    public double? TopP { get; init; }

    /// <summary>Seed of sampling, 0 to 2^53.</summary>
    public double? Seed { get; init; }

    /// <summary>Texts that end the answer; at most 4, each 1 to 64 characters.</summary>
    public IReadOnlyList<string>? Stop { get; init; }
}

/// <summary>Names under which a front end knows the fields of <see cref="GenerationInput"/>, used in problems.</summary>
public sealed record GenerationFieldNames
{
    /// <summary>Names of the REST front.</summary>
    public static readonly GenerationFieldNames Rest = new();

    /// <summary>Names of the gRPC front.</summary>
    public static readonly GenerationFieldNames Grpc = new()
    {
        Chat = "chat.messages",
        Temperature = "sampling.temperature",
        TopK = "sampling.top_k",
        TopP = "sampling.top_p",
        Seed = "sampling.seed",
    };

    /// <summary>Name of the prompt.</summary>
    public string Prompt { get; init; } = "prompt";

    /// <summary>Name of the messages.</summary>
    public string Chat { get; init; } = "messages";

    /// <summary>Name of the token limit.</summary>
    public string MaxTokens { get; init; } = "max_tokens";

    /// <summary>Name of the reasoning mode.</summary>
    public string Mode { get; init; } = "reasoning.mode";

    /// <summary>Name of the latent budget.</summary>
    public string LatentBudget { get; init; } = "reasoning.latent_budget";

    /// <summary>Name of the thinking budget.</summary>
    public string ThinkingBudget { get; init; } = "reasoning.thinking_budget";

    /// <summary>Name of the temperature.</summary>
    public string Temperature { get; init; } = "temperature";

    /// <summary>Name of top-k.</summary>
    public string TopK { get; init; } = "top_k";

    /// <summary>Name of top-p.</summary>
    public string TopP { get; init; } = "top_p";

    /// <summary>Name of the seed.</summary>
    public string Seed { get; init; } = "seed";

    /// <summary>Name of the stop strings.</summary>
    public string Stop { get; init; } = "stop";
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

/// <summary>Sampling of a valid request.</summary>
/// <param name="Temperature">0 = greedy.</param>
/// <param name="TopK">0 = off.</param>
/// <param name="TopP">1 = off.</param>
/// <param name="Seed">Same seed, same tokens, in any batch.</param>
public sealed record SamplingOptions(float Temperature, int TopK, float TopP, ulong Seed);

/// <summary>What a client asked for, after validation: every value is in range and effective.</summary>
public sealed class GenerationRequest
{
    private GenerationRequest(string requestId, int[] promptIds, int maxTokens, ReasoningOptions reasoning, SamplingOptions sampling, IReadOnlyList<string> stop)
    {
        RequestId = requestId;
        PromptIds = promptIds;
        MaxTokens = maxTokens;
        Reasoning = reasoning;
        Sampling = sampling;
        Stop = stop;
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

    /// <summary>Texts that end the answer; never matched inside latents.</summary>
    public IReadOnlyList<string> Stop { get; }

    /// <summary>Checks a request and fills in defaults.</summary>
    /// <param name="input">What the client sent.</param>
    /// <param name="package">The model: tokenizer, chat format, positions, sampling defaults.</param>
    /// <param name="options">Limits.</param>
    /// <param name="names">The caller's field names.</param>
    /// <param name="request">The valid request.</param>
    /// <param name="problems">All problems, when there are any.</param>
    public static bool TryCreate(
        GenerationInput input, ModelPackage package, EngineOptions options, GenerationFieldNames names,
        [NotNullWhen(true)] out GenerationRequest? request, out IReadOnlyList<FieldProblem> problems) => throw new NotImplementedException();
}
