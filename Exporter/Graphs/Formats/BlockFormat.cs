using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs.Formats;

/// <summary>
/// Weights of 4 or 8 bits in blocks along the inputs that share a scale, symmetric: com.microsoft.MatMulNBits, and GatherBlockQuantized over the same
/// bytes for tables.
/// </summary>
internal sealed class BlockFormat(OnnxGraphBuilder graph, int bits, int blockSize, OnnxElementType activations) : WeightFormat(graph)
{
    // Activations as 8-bit integers, each block with its scale. Without it 8-bit weights have no kernel that reads them packed.
    private const int IntegerProducts = 4;

    private readonly Dictionary<string, string> _tables = new(StringComparer.Ordinal);

    /// <inheritdoc />
    public override bool Fuses(WeightMatrix stack, bool isCut) => true;

    /// <inheritdoc />
    public override string Linear(string name, string input, WeightMatrix weight, string? bias = null, string? output = null)
    {
        var block = BlockSizeOf(weight);
        var stored = _tables.TryGetValue(weight.Name, out var table) ? table : Store(weight, $"{name}.weight", block);
        var blocks = weight.Columns / block;
        var packed = Graph.SameBytes($"{name}.blocks", stored, [weight.Rows, blocks, block * bits / 8]);
        List<string> inputs = [input, packed, $"{stored}.scales"];

        // The kernel for GPUs takes no bias.
        var addsBias = bias is not null && activations != OnnxElementType.Float;
        if (bias is not null && !addsBias)
        {
            inputs.AddRange(["", "", bias]);
        }

        var product = addsBias ? $"{name}.product" : output ?? name;
        Graph.Node(
            OnnxGraphBuilder.MicrosoftDomain,
            "MatMulNBits",
            [product],
            [.. inputs],
            OnnxAttribute.Int("K", weight.Columns),
            OnnxAttribute.Int("N", weight.Rows),
            OnnxAttribute.Int("bits", bits),
            OnnxAttribute.Int("block_size", block),
            OnnxAttribute.Int("accuracy_level", activations == OnnxElementType.Float ? IntegerProducts : 0));
        return addsBias ? Graph.Node("Add", output ?? name, [product, bias!]) : product;
    }

    /// <inheritdoc />
    public override string Gather(string name, WeightMatrix table, string ids)
    {
        var block = BlockSizeOf(table);
        var stored = Store(table, table.Name, block);
        _tables[table.Name] = stored;
        Graph.Node(
            OnnxGraphBuilder.MicrosoftDomain,
            "GatherBlockQuantized",
            [name],
            [stored, ids, $"{stored}.scales"],
            OnnxAttribute.Int("bits", bits),
            OnnxAttribute.Int("block_size", block),
            OnnxAttribute.Int("gather_axis", 0),
            OnnxAttribute.Int("quantize_axis", 1));
        return name;
    }

    /// <summary>The largest block up to the wanted one that divides the columns.</summary>
    private int BlockSizeOf(WeightMatrix weight)
    {
        var block = blockSize;
        while (block > 16 && weight.Columns % block != 0)
        {
            block /= 2;
        }

        return weight.Columns % block == 0
            ? block
            : throw new ExportException(weight.Name, "columns", $"a multiple of 16 for int{bits}", $"{weight.Columns}");
    }

    private string Store(WeightMatrix weight, string name, int block)
    {
        var blocks = weight.Columns / block;
        var scales = new float[checked(weight.Rows * blocks)];
        Graph.Stored(name, OnnxElementType.UInt8, [weight.Rows, weight.Columns * bits / 8], stream =>
        {
            var rowBytes = weight.Columns * bits / 8;
            var packed = Array.Empty<byte>();
            ReadInParts(weight, (first, count, part) =>
            {
                if (packed.Length < count * rowBytes)
                {
                    packed = new byte[count * rowBytes];
                }

                Parallel.For(0, count, row => BlockQuantizer.Quantize(
                    part.AsSpan(row * weight.Columns, weight.Columns),
                    bits,
                    block,
                    packed.AsSpan(row * rowBytes, rowBytes),
                    scales.AsSpan((first + row) * blocks, blocks)));
                stream.Write(packed, 0, count * rowBytes);
            });
        });
        Graph.Stored($"{name}.scales", activations, [weight.Rows, blocks], stream => new FloatEncoder(weight.FileName, weight.Name, activations, stream).Write(scales));
        return name;
    }
}
