using Tessera.Engine.Runtime;
using Tessera.Testing;
using Tessera.Testing.Graphs;
using static Tessera.Testing.Graphs.OnnxGraphBuilder;

namespace Tessera.Engine.Tests.Runtime;

/// <summary>The product that packages with 8-bit weights and activations are made of is exact on every processor, also without VNNI.</summary>
public sealed class ByteProductTests : IDisposable
{
    private const int Inputs = 64;
    private const byte Zero = 128;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 255, 127)]
    [InlineData(1, 255, -127)]
    [InlineData(1, 0, -127)]
    [InlineData(9, 255, 127)]
    [InlineData(9, 0, 127)]
    public void MatMulIntegerToFloat_LargestLevelsAndWeights_IsExact(int rows, byte level, sbyte weight)
    {
        // The second column's neighbours have opposite signs: their sums never leave 16 bits.
        var weights = Enumerable.Range(0, 2 * Inputs).Select(i => i % 2 == 0 || i % 4 == 1 ? weight : (sbyte)-weight).ToArray();
        using var options = new OrtSessionOptions(threads: 1);
        using var session = new OrtSession(Product(weights).Save(_folder["product.onnx"]), options);
        using var levels = OrtValue.From<byte>([.. Enumerable.Repeat(level, rows * Inputs)], rows, Inputs);

        using var product = session.Run([("levels", levels)], ["product"])[0];

        var expected = new[] { 0, 1 }.Select(column => (float)Enumerable.Range(0, Inputs).Sum(i => (level - Zero) * weights[(2 * i) + column]));
        Assert.Equal(Enumerable.Repeat(expected, rows).SelectMany(row => row), product.Elements<float>().ToArray());
    }

    private static OnnxGraphBuilder Product(sbyte[] weights) => new OnnxGraphBuilder()
        .Input("levels", U8, "M", Inputs)
        .Output("product", F32, "M", 2)
        .Constant("weights", weights, Inputs, 2)
        .Constant("one", [1f])
        .Constant("scales", [1f, 1f], 2)
        .Constant("zero", [Zero])
        .Node(ContribDomain, "MatMulIntegerToFloat", ["levels", "weights", "one", "scales", "zero"], ["product"]);
}
