namespace Tessera.LoadTests.Comparison;

/// <summary>A run of prompts in one arm: the smallest piece of a comparison in which the server sees one arm only.</summary>
/// <param name="Block">Which block, from 0.</param>
/// <param name="Arm">Index of the arm.</param>
/// <param name="First">Index of the block's first prompt.</param>
/// <param name="Count">Prompts of the block.</param>
public sealed record Phase(int Block, int Arm, int First, int Count);

/// <summary>
/// The order of a comparison. Each block of prompts runs in one arm after the other, and the order turns by one from block to block:
/// drift of the machine and a warm prefix cache meet all arms alike, a prompt's runs are close in time, and what
/// the server tells of its memory belongs to one arm.
/// </summary>
public static class ComparePlan
{
    // Below this a phase is all start and end.
    private const int FewestPrompts = 8;

    // An open loop needs some time to show what the rate does to the server.
    private const int OpenLoopPrompts = 64;

    /// <summary>
    /// Prompts per block. One arm alone: all of them. Closed loop: about four waves of the concurrency; with few prompts less, for four blocks, but never less than
    /// one wave. Open loop: a quarter of the prompts, at least 64.
    /// </summary>
    public static int BlockSize(int promptCount, int concurrency, int armCount = 2, bool isOpen = false)
    {
        if (armCount == 1)
        {
            return promptCount;
        }

        var quarter = (promptCount + 3) / 4;
        if (isOpen)
        {
            return Math.Max(OpenLoopPrompts, quarter);
        }

        var oneWave = Math.Max(concurrency, FewestPrompts);
        return Math.Max(oneWave, Math.Min(4 * concurrency, quarter));
    }

    /// <summary>All phases in order; with two arms 0 1, 1 0, 0 1, ...</summary>
    public static IEnumerable<Phase> Phases(int promptCount, int blockSize, int armCount = 2)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(blockSize, 1);
        for (var block = 0; block * blockSize < promptCount; block++)
        {
            var first = block * blockSize;
            var count = Math.Min(blockSize, promptCount - first);
            for (var turn = 0; turn < armCount; turn++)
            {
                yield return new Phase(block, (block + turn) % armCount, first, count);
            }
        }
    }
}
