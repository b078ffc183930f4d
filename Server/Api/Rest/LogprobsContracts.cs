namespace Tessera.Server.Api.Rest;

/// <summary>Log probabilities of a chat choice, by what the tokens are for.</summary>
/// <param name="Content">Tokens of the answer.</param>
internal sealed record ChatLogprobs(IReadOnlyList<TokenLogprobBody> Content)
{
    /// <summary>Tokens of the reasoning that was spelled out; left out when there are none.</summary>
    public IReadOnlyList<TokenLogprobBody>? ReasoningContent { get; init; }

    /// <summary>Latents; left out when there are none.</summary>
    public IReadOnlyList<TokenLogprobBody>? LatentReasoning { get; init; }
}

/// <summary>How probable a token was.</summary>
/// <param name="Token">Its text; U+FFFD where it is a part of a character.</param>
/// <param name="Logprob">Natural logarithm of its probability.</param>
/// <param name="Bytes">Its bytes.</param>
/// <param name="TopLogprobs">The most probable tokens at its place, best first.</param>
/// <param name="TokenId">Its id.</param>
internal sealed record TokenLogprobBody(
    string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<AlternativeLogprob> TopLogprobs, int TokenId);

/// <summary>One of the most probable tokens at a place.</summary>
internal sealed record AlternativeLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes, int TokenId);

/// <summary>Log probabilities of a text completion, in parallel arrays.</summary>
/// <param name="Tokens">Texts.</param>
/// <param name="TokenLogprobs">Natural logarithms of their probabilities.</param>
/// <param name="TopLogprobs">The most probable texts at each place.</param>
/// <param name="TextOffset">Where each begins in the text that all tokens make.</param>
internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens, IReadOnlyList<float> TokenLogprobs, IReadOnlyList<IReadOnlyDictionary<string, float>> TopLogprobs,
    IReadOnlyList<int> TextOffset);
