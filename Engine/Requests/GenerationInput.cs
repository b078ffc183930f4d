using Tessera.Models;

namespace Tessera.Engine.Requests;

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

    /// <summary>Name of the request id.</summary>
    public string RequestId { get; init; } = "request_id";

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
