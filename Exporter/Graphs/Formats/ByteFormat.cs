using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs.Formats;

/// <summary>
/// Weights of 8 bits with one scale per output, multiplied with activations of 8 bits with one scale per row (w8a8): the products are integer ones, and a
/// row's result does not depend on the other rows. Quantised activations are shared by all layers that read them.
/// </summary>
internal sealed class ByteFormat(OnnxGraphBuilder graph) : WeightFormat(graph)
{
    private const int TableBlockSize = 32;
    private const byte ActivationZero = 128;

    // Bytes of a transposed stripe that are in memory at once.
    private const long StripeBytes = 256L << 20;

    private readonly Dictionary<string, (string Levels, string Scales)> _quantized = new(StringComparer.Ordinal);
    private readonly BlockFormat _tables = new(graph, 8, TableBlockSize, OnnxElementType.Float);

    /// <inheritdoc />
    public override bool Fuses(WeightMatrix stack, bool isCut) => true;

    /// <inheritdoc />
    public override string Linear(string name, string input, WeightMatrix weight, string? bias = null, string? output = null)
    {
        var (levels, scales) = Quantize(input);
        var stored = Store(weight, $"{name}.weight");
        Graph.Node(
            OnnxGraphBuilder.MicrosoftDomain,
            "MatMulIntegerToFloat",
            [$"{name}.product"],
            [levels, stored, "w8a8.one", $"{stored}.scales", "w8a8.zero"]);
        output ??= name;
        var scaled = Graph.Node("Mul", bias is null ? output : $"{name}.scaled", [$"{name}.product", scales]);
        return bias is null ? scaled : Graph.Node("Add", output, [scaled, bias]);
    }

    /// <inheritdoc />
    /// <remarks>A tied head is stored twice: a product reads columns, a look-up reads rows.</remarks>
    public override string Gather(string name, WeightMatrix table, string ids) => _tables.Gather(name, table, ids);

    /// <summary>Rows of [M, K] as unsigned bytes around 128, and their scales [M, 1].</summary>
    private (string Levels, string Scales) Quantize(string input)
    {
        if (_quantized.TryGetValue(input, out var known))
        {
            return known;
        }

        if (_quantized.Count == 0)
        {
            Graph.Number("w8a8.one", 1);
            Graph.Number("w8a8.step", 1f / 127);
            Graph.Number("w8a8.least", 1e-20f);
            Graph.Byte("w8a8.zero", ActivationZero);
            Graph.Integers("w8a8.column", -1, 1);
        }

        var name = $"{input}.w8a8";
        var most = Graph.Node(
            "ReduceMax",
            $"{name}.most",
            [Graph.Node("Abs", $"{name}.abs", [input])],
            OnnxAttribute.Ints("axes", -1),
            OnnxAttribute.Int("keepdims", 1));
        if (MayBeEmpty)
        {
            // The runtime's ReduceMax gives no rows the wrong width.
            most = Graph.Node("Reshape", $"{name}.most_column", [most, "w8a8.column"]);
        }

        var scales = Graph.Node("Max", $"{name}.scales", [Graph.Node("Mul", $"{name}.raw_scales", [most, "w8a8.step"]), "w8a8.least"]);
        var levels = Graph.Node("QuantizeLinear", $"{name}.levels", [Graph.Node("Div", $"{name}.steps", [input, scales]), "w8a8.one", "w8a8.zero"]);
        return _quantized[input] = (levels, scales);
    }

    /// <summary>Writes [columns, rows]: the kernel wants the inputs first.</summary>
    private string Store(WeightMatrix weight, string name)
    {
        var scales = new float[weight.Rows];
        ReadInParts(weight, (first, count, part) =>
        {
            for (var row = 0; row < count; row++)
            {
                scales[first + row] = Math.Abs(TensorPrimitives.MaxMagnitude(part.AsSpan(row * weight.Columns, weight.Columns))) / 127;
            }
        });
        Graph.Stored(name, OnnxElementType.Int8, [weight.Columns, weight.Rows], stream =>
        {
            var width = (int)Math.Clamp(StripeBytes / weight.Rows, 1, weight.Columns);
            for (var left = 0; left < weight.Columns; left += width)
            {
                WriteStripe(weight, scales, left, Math.Min(width, weight.Columns - left), stream);
            }
        });
        return Graph.Weights($"{name}.scales", scales, weight.Rows)[..^".scales".Length];
    }

    private static void WriteStripe(WeightMatrix weight, float[] scales, int left, int width, Stream stream)
    {
        var stripe = new sbyte[checked(width * weight.Rows)]; // [width, rows]
        ReadInParts(weight, (first, count, part) => Parallel.For(0, (count + 63) / 64, group =>
        {
            // 64 rows at a time: what is written then fills whole cache lines.
            var (top, end) = (group * 64, Math.Min(count, (group * 64) + 64));
            for (var column = 0; column < width; column++)
            {
                for (var row = top; row < end; row++)
                {
                    var scale = scales[first + row];
                    var number = part[(row * weight.Columns) + left + column];
                    stripe[(column * weight.Rows) + first + row] = (sbyte)(scale == 0 ? 0 : Math.Clamp(MathF.Round(number / scale), -127, 127));
                }
            }
        }));
        stream.Write(MemoryMarshal.AsBytes<sbyte>(stripe));
    }
}
