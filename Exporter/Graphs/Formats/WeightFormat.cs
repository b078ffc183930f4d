using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs.Formats;

/// <summary>How matrices are stored in a graph, and which operators multiply with them. Everything between layers is [M, ...], one row per position, or [B, S, ...].</summary>
/// <param name="graph">Gets tensors and nodes.</param>
internal abstract class WeightFormat(OnnxGraphBuilder graph)
{
    // Elements that are in memory at once while a matrix is written: 16 MB in single precision.
    private const int PartElements = 4 << 20;

    /// <summary>Files of the checkpoint that the graph points into, and that must be beside it.</summary>
    public HashSet<SafeTensorsFile> ReferencedFiles { get; } = [];

    /// <summary>Whether what is multiplied from here on may have no rows at all: behind the choice of the wanted ones.</summary>
    public bool MayBeEmpty { get; set; }

    /// <summary>The graph.</summary>
    protected OnnxGraphBuilder Graph => graph;

    /// <summary>The format of a precision.</summary>
    public static WeightFormat Create(OnnxGraphBuilder graph, DecoderPrecision precision) => precision.Weights switch
    {
        "int4" => new BlockFormat(graph, 4, precision.EffectiveBlockSize, precision.Activations),
        "int8" => new BlockFormat(graph, 8, precision.EffectiveBlockSize, precision.Activations),
        "w8a8" => new ByteFormat(graph),
        _ => new FloatFormat(graph, precision.Activations),
    };

    /// <summary>Whether a stack of weights is better multiplied as one matrix.</summary>
    /// <param name="stack">The weights.</param>
    /// <param name="isCut">Whether the product has to be cut afterwards, which copies it.</param>
    public abstract bool Fuses(WeightMatrix stack, bool isCut);

    /// <summary>x W^T + b: [..., columns] to [..., rows].</summary>
    /// <param name="name">Name of the layer.</param>
    /// <param name="input">x.</param>
    /// <param name="weight">W.</param>
    /// <param name="bias">Name of b, [rows], in the type of the activations; null for none.</param>
    /// <param name="output">Name of the result; that of the layer when not given.</param>
    public abstract string Linear(string name, string input, WeightMatrix weight, string? bias = null, string? output = null);

    /// <summary>Rows of a table, [...] to [..., columns].</summary>
    public abstract string Gather(string name, WeightMatrix table, string ids);

    /// <summary>Reads a matrix in parts of whole rows.</summary>
    protected static void ReadInParts(WeightMatrix weight, Action<int, int, float[]> use)
    {
        var rows = Math.Clamp(PartElements / weight.Columns, 1, weight.Rows);
        var part = new float[checked(rows * weight.Columns)];
        for (var first = 0; first < weight.Rows; first += rows)
        {
            var count = Math.Min(rows, weight.Rows - first);
            weight.ReadRows(first, part.AsSpan(0, count * weight.Columns));
            use(first, count, part);
        }
    }
}
