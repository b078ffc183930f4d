using Tessera.Models;

namespace Tessera.Engine.Requests;

/// <summary>What a client asked for, before any check; null = not given. Numbers are wide so that out-of-range values can be named, not truncated.</summary>
public sealed record GenerationInput
{
    /// <summary>Id to echo; made up when null.</summary>
    public string? RequestId { get; init; }

    /// <summary>Prompt used as it is; exactly one of this, <see cref="Chat"/> and <see cref="PromptIds"/>.</summary>
    public string? Prompt { get; init; }

    /// <summary>Messages rendered with the package's chat format.</summary>
    public IReadOnlyList<ChatTurn>? Chat { get; init; }

    /// <summary>The prompt as ids, without the <c>&lt;think&gt;</c> that follows it. Earlier traces in it must be well formed.</summary>
    public IReadOnlyList<int>? PromptIds { get; init; }

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

    /// <summary>Least probability of a candidate as a part of the best one's, 0 to 1; 0 = off.</summary>
    public double? MinP { get; init; }

    /// <summary>Divides the logits of text ids that were there before, prompt included; above 0 and at most 10; 1 = off.</summary>
    public double? RepetitionPenalty { get; init; }

    /// <summary>Taken from the logit of a text id for each time it was generated, -2 to 2; 0 = off.</summary>
    public double? FrequencyPenalty { get; init; }

    /// <summary>Taken from the logit of a text id that was generated, -2 to 2; 0 = off.</summary>
    public double? PresencePenalty { get; init; }

    /// <summary>Added to the logits of ids, -100 to 100.</summary>
    public IReadOnlyDictionary<int, double>? LogitBias { get; init; }

    /// <summary>Generated tokens, reasoning included, before which nothing ends the answer.</summary>
    public double? MinTokens { get; init; }

    /// <summary>Texts that end the answer; at most 4, each 1 to 64 characters.</summary>
    public IReadOnlyList<string>? Stop { get; init; }

    /// <summary>Ids that end the answer; their text is not given out.</summary>
    public IReadOnlyList<int>? StopTokenIds { get; init; }

    /// <summary>Most probable alternatives to report for each token; 0 = the token's own log probability alone; null = none.</summary>
    public double? Logprobs { get; init; }

    /// <summary>Responses to the same prompt.</summary>
    public double? N { get; init; }

    /// <summary>Time from submission after which the request ends with <see cref="FinishReason.Deadline"/>; null = no limit.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>Only requests with the same salt share cached prompt prefixes; null is a salt like any other.</summary>
    public string? CacheSalt { get; init; }
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
        MinP = "sampling.min_p",
        RepetitionPenalty = "sampling.repetition_penalty",
        FrequencyPenalty = "sampling.frequency_penalty",
        PresencePenalty = "sampling.presence_penalty",
        LogitBias = "sampling.logit_bias",
        MinTokens = "min_tokens",
    };

    /// <summary>Name of the request id.</summary>
    public string RequestId { get; init; } = "request_id";

    /// <summary>Name of the prompt.</summary>
    public string Prompt { get; init; } = "prompt";

    /// <summary>Name of the messages.</summary>
    public string Chat { get; init; } = "messages";

    /// <summary>Name of the prompt as ids.</summary>
    public string PromptIds { get; init; } = "prompt_ids";

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

    /// <summary>Name of min-p.</summary>
    public string MinP { get; init; } = "min_p";

    /// <summary>Name of the repetition penalty.</summary>
    public string RepetitionPenalty { get; init; } = "repetition_penalty";

    /// <summary>Name of the frequency penalty.</summary>
    public string FrequencyPenalty { get; init; } = "frequency_penalty";

    /// <summary>Name of the presence penalty.</summary>
    public string PresencePenalty { get; init; } = "presence_penalty";

    /// <summary>Name of the logit bias.</summary>
    public string LogitBias { get; init; } = "logit_bias";

    /// <summary>Name of the least number of tokens.</summary>
    public string MinTokens { get; init; } = "min_tokens";

    /// <summary>Name of the stop ids.</summary>
    public string StopTokenIds { get; init; } = "stop_token_ids";

    /// <summary>Name of the number of alternatives.</summary>
    public string Logprobs { get; init; } = "top_logprobs";

    /// <summary>Name of the number of responses.</summary>
    public string N { get; init; } = "n";

    /// <summary>Name of the time limit.</summary>
    public string Timeout { get; init; } = "timeout";

    /// <summary>Name of the prefix cache's salt.</summary>
    public string CacheSalt { get; init; } = "cache_salt";
}
