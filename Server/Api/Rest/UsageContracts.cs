using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>
/// Tokens by kind, and what the latents saved.
/// <c>completion_tokens = reasoning_tokens + answer</c>, <c>reasoning_tokens = latent + reasoning text + control</c>.
/// </summary>
internal sealed record UsageBody(
    int PromptTokens, int CompletionTokens, int TotalTokens, PromptTokensDetails PromptTokensDetails,
    CompletionTokensDetails CompletionTokensDetails, SavingsBody? LatentSavings)
{
    /// <summary>The usage of a finished request.</summary>
    public static UsageBody Of(FinishedEvent finished) => Of(finished.Usage, SavingsBody.Of(finished.Savings));

    /// <summary>The usage so far, without savings before the end.</summary>
    public static UsageBody Of(GatheredResponse response) => response.IsFinished ? Of(response.Finished) : Of(response.UsageSoFar(), null);

    private static UsageBody Of(Usage usage, SavingsBody? savings) => new(
        usage.PromptTokens,
        usage.CompletionTokens,
        usage.PromptTokens + usage.CompletionTokens,
        new(usage.CachedTokens),
        new(usage.ReasoningTokens, usage.LatentTokens, usage.ReasoningTextTokens, usage.ControlTokens),
        savings);
}

/// <summary>What of the prompt was not computed again.</summary>
internal sealed record PromptTokensDetails(int CachedTokens);

/// <summary>Generated tokens before the answer, by kind.</summary>
internal sealed record CompletionTokensDetails(int ReasoningTokens, int LatentTokens, int ReasoningTextTokens, int ControlTokens);

/// <summary>Against plain chain of thought; <paramref name="Basis"/> says what the figures rest on.</summary>
internal sealed record SavingsBody(
    int LatentTokens, double TextEquivalentTokens, double TokensSaved, double FractionSaved, double StepsSaved, double KvBytesSaved, double SecondsSaved,
    string Basis)
{
    /// <summary>The savings of a finished request.</summary>
    public static SavingsBody Of(Savings savings) => new(
        savings.LatentTokens, savings.TextEquivalentTokens, savings.TokensSaved, savings.FractionSaved, savings.StepsSaved, savings.KvBytesSaved,
        savings.SecondsSaved,
        savings.Basis switch
        {
            SavingsBasis.Estimated => "estimated",
            SavingsBasis.MeasuredPair => "measured_pair",
            _ => throw new ArgumentOutOfRangeException(nameof(savings), savings.Basis, null),
        });
}
