using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs.Formats;

/// <summary>Floating-point weights [out, in] as the checkpoint has them: where their type is that of the graph they stay in the checkpoint's own file.</summary>
internal sealed class FloatFormat(OnnxGraphBuilder graph, OnnxElementType type) : WeightFormat(graph)
{
    private readonly TensorElementType _source = type switch
    {
        OnnxElementType.Float16 => TensorElementType.F16,
        OnnxElementType.BFloat16 => TensorElementType.BF16,
        _ => TensorElementType.F32,
    };

    private readonly Dictionary<string, string> _tables = new(StringComparer.Ordinal);

    /// <inheritdoc />
    /// <remarks>
    /// One product is faster than three, but not worth a copy of weights that can stay where they are; on the processor two are faster than one that is cut.
    /// </remarks>
    public override bool Fuses(WeightMatrix stack, bool isCut) =>
        !(isCut && type == OnnxElementType.Float) && (!stack.HasType(_source) || stack.PlaceIn(_source) is not null);

    /// <inheritdoc />
    public override string Linear(string name, string input, WeightMatrix weight, string? bias = null, string? output = null)
    {
        var stored = _tables.TryGetValue(weight.Name, out var table) ? table : Store(weight, $"{name}.weight");

        // The input may have more than two axes, which Gemm does not take.
        var product = bias is null ? output ?? name : $"{name}.product";
        Graph.Node(OnnxGraphBuilder.MicrosoftDomain, "FusedMatMul", [product], [input, stored], OnnxAttribute.Int("transB", 1));
        return bias is null ? product : Graph.Node("Add", output ?? name, [product, bias]);
    }

    /// <inheritdoc />
    public override string Gather(string name, WeightMatrix table, string ids)
    {
        // A tied head reads the same table.
        _tables[table.Name] = Store(table, table.Name);
        return Graph.Node("Gather", name, [table.Name, ids], OnnxAttribute.Int("axis", 0));
    }

    /// <summary>The package gets the whole file: most of it must be of use there.</summary>
    private bool IsWorthACopy(SafeTensorsFile file) =>
        2 * file.Tensors.Values.Where(tensor => tensor.Type == _source).Sum(tensor => tensor.ByteCount) >= file.Tensors.Values.Sum(tensor => tensor.ByteCount);

    private string Store(WeightMatrix weight, string name)
    {
        long[] shape = [weight.Rows, weight.Columns];
        if (weight.ElementCount * type.ByteSize() >= OnnxGraphBuilder.InlineLimitBytes && weight.PlaceIn(_source) is { } place && IsWorthACopy(place.File))
        {
            // The bytes stay where they are, but a NaN in them is found here and not in the first answer.
            ReadInParts(weight, static (_, _, _) => { });
            ReferencedFiles.Add(place.File);
            return Graph.Reference(name, type, shape, place.File.Name, place.Offset);
        }

        return Graph.Stored(name, type, shape, stream =>
        {
            var encoder = new FloatEncoder(element => weight.SourceOf((int)(element / weight.Columns)), type, stream);
            ReadInParts(weight, (_, count, part) => encoder.Write(part.AsSpan(0, count * weight.Columns)));
        });
    }
}
