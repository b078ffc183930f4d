namespace Tessera.Engine.Execution;

/// <summary>The codebook in both directions. Thread-safe; called beside the step loop.</summary>
public interface ICodebook : IDisposable
{
    /// <summary>Reads what codes stand for.</summary>
    /// <param name="codes">Codes of one span, in order; those past the manifest's max_codes get no hint.</param>
    /// <param name="promptIds">Ids of the prompt; a short prompt is padded on the left.</param>
    /// <returns>One hint per code that the graph takes.</returns>
    IReadOnlyList<LatentHint> Decode(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds);

    /// <summary>Reads several spans, of any requests, in as few runs as may be.</summary>
    /// <param name="spans">The spans.</param>
    /// <returns>For each span what <see cref="Decode"/> gives for it alone.</returns>
    IReadOnlyList<IReadOnlyList<LatentHint>> DecodeSpans(IReadOnlyList<CodedSpan> spans) => [.. spans.Select(span => Decode(span.Codes, span.PromptIds))];

    /// <summary>Codes of reasoning steps.</summary>
    /// <param name="steps">Text ids of each step, at most chunk_tokens each; shorter ones are padded.</param>
    /// <param name="promptIds">Ids of the prompt.</param>
    IReadOnlyList<int> Encode(IReadOnlyList<IReadOnlyList<int>> steps, IReadOnlyList<int> promptIds);
}

/// <summary>A latent span to be read.</summary>
/// <param name="Codes">Its codes, in order.</param>
/// <param name="PromptIds">Ids of the prompt.</param>
public readonly record struct CodedSpan(IReadOnlyList<int> Codes, IReadOnlyList<int> PromptIds);

/// <summary>What the codebook decoder reads in one latent.</summary>
/// <param name="Text">Lossy text.</param>
/// <param name="TokenCount">Text tokens of the hint.</param>
/// <param name="Confidence">Mean probability of the hint's tokens, 0 to 1.</param>
public sealed record LatentHint(string Text, int TokenCount, float Confidence);
