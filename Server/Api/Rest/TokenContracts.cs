namespace Tessera.Server.Api.Rest;

/// <summary>Answer of <c>POST /tokenize</c>.</summary>
/// <param name="Count">Number of ids.</param>
/// <param name="MaxModelLen">Positions that prompt and completion share.</param>
/// <param name="Tokens">Ids.</param>
/// <param name="TokenStrs">Text of each id, when asked for.</param>
/// <param name="Kinds">text, latent, control or end for each id, when asked for.</param>
internal sealed record TokenizeBody(
    int Count, int MaxModelLen, IReadOnlyList<int> Tokens, IReadOnlyList<string>? TokenStrs, IReadOnlyList<string>? Kinds);

/// <summary>Answer of <c>POST /detokenize</c>.</summary>
/// <param name="Prompt">The text.</param>
internal sealed record DetokenizeBody(string Prompt);

/// <summary>Answer of <c>POST /v1/latents/decode</c>.</summary>
/// <param name="Object">Always latents.decoded.</param>
/// <param name="Model">Name of the model.</param>
/// <param name="Codes">The codes that were asked for.</param>
/// <param name="Hint">The hints joined.</param>
/// <param name="Hints">What each code stands for: lossy text.</param>
/// <param name="Confidences">Mean probability of each hint's tokens, 0 to 1.</param>
/// <param name="TokenCounts">Text tokens of each hint.</param>
/// <param name="Confidence">Mean of the confidences.</param>
internal sealed record DecodedLatents(
    string Object, string Model, IReadOnlyList<int> Codes, string Hint, IReadOnlyList<string> Hints, IReadOnlyList<float> Confidences,
    IReadOnlyList<int> TokenCounts, float Confidence);

/// <summary>Answer of <c>POST /v1/latents/encode</c>.</summary>
/// <param name="Object">Always latents.encoded.</param>
/// <param name="Model">Name of the model.</param>
/// <param name="Codes">One code per step.</param>
/// <param name="TokenIds">The same as ids of the vocabulary.</param>
internal sealed record EncodedLatents(string Object, string Model, IReadOnlyList<int> Codes, IReadOnlyList<int> TokenIds);

/// <summary>Answer of <c>GET /version</c>.</summary>
/// <param name="Version">Version of the server.</param>
internal sealed record VersionBody(string Version);
