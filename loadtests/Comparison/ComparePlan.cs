using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Comparison;

/// <summary>A run of prompts in one mode: the smallest piece of a comparison in which the server sees one mode only.</summary>
/// <param name="Block">Which block, from 0.</param>
/// <param name="Mode">The mode.</param>
/// <param name="First">Index of the block's first prompt.</param>
/// <param name="Count">Prompts of the block.</param>
public sealed record Phase(int Block, ReasoningMode Mode, int First, int Count);

/// <summary>
/// The order of a comparison. Each block of prompts runs in one mode, then in the other, and the order swaps from block to block:
/// drift of the machine and a warm prefix cache meet both modes alike, a prompt's two runs are close in time, and what
/// the server tells of its KV cache belongs to one mode.
/// </summary>
public static class ComparePlan
{
    // Below this a phase is all start and end.
    private const int FewestPrompts = 8;

    /// <summary>Prompts per block: about four waves of the concurrency; with few prompts less, for four blocks, but never less than one wave.</summary>
    public static int BlockSize(int promptCount, int concurrency)
    {
        var oneWave = Math.Max(concurrency, FewestPrompts);
        var quarter = (promptCount + 3) / 4;
        return Math.Max(oneWave, Math.Min(4 * concurrency, quarter));
    }

    /// <summary>All phases in order: text latent, latent text, text latent, ...</summary>
    public static IEnumerable<Phase> Phases(int promptCount, int blockSize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockSize, 1);
        for (var block = 0; block * blockSize < promptCount; block++)
        {
            var first = block * blockSize;
            var count = Math.Min(blockSize, promptCount - first);
            var (mode, other) = block % 2 == 0 ? (ReasoningMode.Text, ReasoningMode.Latent) : (ReasoningMode.Latent, ReasoningMode.Text);
            yield return new Phase(block, mode, first, count);
            yield return new Phase(block, other, first, count);
        }
    }
}
