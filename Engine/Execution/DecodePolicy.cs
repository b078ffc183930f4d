using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>Decides over how many threads the decode rows of a step are divided on the processor.</summary>
internal static class DecodePolicy
{
    /// <summary>
    /// Fewest rows of a part. 8: below, waking a thread costs more than it saves.
    /// </summary>
    public const int MinRows = 8;

    /// <summary>
    /// Most weights of a model whose rows are divided: each part reads all of them. 4 million: 16 MB in single precision, which the last cache of any server's processor has.
    /// </summary>
    public const long MaxWeights = 4_000_000;

    /// <summary>Parts that a step may have at most; 1 = rows are not divided.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="threads">Threads of a run.</param>
    public static int MaxParts(Architecture architecture, int threads) => WeightsOf(architecture) <= MaxWeights ? threads : 1;

    /// <summary>Parts of a step.</summary>
    /// <param name="rows">Its decode rows.</param>
    /// <param name="maxParts">Most parts.</param>
    public static int Parts(int rows, int maxParts) => Math.Clamp(rows / MinRows, 1, Math.Max(1, maxParts));

    /// <summary>First row of a part: parts differ by one row at most, the first ones are the larger.</summary>
    /// <param name="rows">Decode rows of the step.</param>
    /// <param name="parts">Parts of the step.</param>
    /// <param name="part">Which one; the number of parts for the end of the last.</param>
    public static int FirstRow(int rows, int parts, int part) => (rows / parts * part) + Math.Min(part, rows % parts);

    // Four matrices of the attention and three twice to four times as large: a usual layer, near enough for a limit.
    private static long WeightsOf(Architecture architecture) => 12L * architecture.LayerCount * architecture.HiddenSize * architecture.HiddenSize;
}
