namespace Tessera.Engine.Execution;

/// <summary>The codebook in both directions. Thread-safe; called beside the step loop.</summary>
public interface ICodebook : IDisposable
{
    /// <summary>Reads what codes stand for.</summary>
    /// <param name="codes">Codes of one span, in order; those past the manifest's max_codes get no hint.</param>
    /// <param name="promptIds">Ids of the prompt; a short prompt is padded on the left.</param>
    /// <returns>One hint per code that the graph takes.</returns>
    IReadOnlyList<LatentHint> Decode(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds);

    /// <summary>Codes of reasoning steps.</summary>
    /// <param name="steps">Text ids of each step, at most chunk_tokens each; shorter ones are padded.</param>
    /// <param name="promptIds">Ids of the prompt.</param>
    IReadOnlyList<int> Encode(IReadOnlyList<IReadOnlyList<int>> steps, IReadOnlyList<int> promptIds);
}

/// <summary>What the codebook decoder reads in one latent.</summary>
/// <param name="Text">Lossy text.</param>
/// <param name="TokenCount">Text tokens of the hint.</param>
/// <param name="Confidence">Mean probability of the hint's tokens, 0 to 1.</param>
public sealed record LatentHint(string Text, int TokenCount, float Confidence);
