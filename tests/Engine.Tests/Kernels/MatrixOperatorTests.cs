using Tessera.Engine.Execution;
using Tessera.Engine.Kernels;
using Tessera.Engine.Runtime;
using Tessera.Testing;
using Tessera.Testing.Graphs;
using static Tessera.Testing.Graphs.OnnxGraphBuilder;

namespace Tessera.Engine.Tests.Kernels;

public sealed class MatrixOperatorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 128, 384, true)]
    [InlineData(1, 7, 33, true)]
    [InlineData(2, 16, 5, true)]
    [InlineData(8, 128, 32, true)]
    [InlineData(13, 40, 100, true)]
    [InlineData(145, 64, 130, true)]
    [InlineData(9, 24, 64, false)]
    public void Run_RowsByWeights_EqualTheRuntimesOwnKernel(int rows, int depth, int columns, bool isTransposed)
    {
        var path = Describe(depth, columns, isTransposed).Save(_folder["product.onnx"]);
        var left = Numbers(rows * depth, seed: 1);

        var expected = Run(path, isOurs: false, threads: 1, left, rows, depth);
        var found = Run(path, isOurs: true, threads: 1, left, rows, depth);

        Assert.Equal(rows * columns, found.Length);
        Assert.True(expected.Max() - expected.Min() > 0.5, "the numbers do not differ enough to say anything");
        var difference = expected.Zip(found, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(difference <= 2e-5, $"products differ by {difference}");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Run_RowsTogether_GiveTheSameBitsAsAlone(int threads)
    {
        // 200 x 128 x 384 multiplications are worth several threads, and several parts of a panel; one row is not.
        const int rows = 200, depth = 128, columns = 384;
        var path = Describe(depth, columns, isTransposed: true).Save(_folder["product.onnx"]);
        var left = Numbers(rows * depth, seed: 2);

        var together = Run(path, isOurs: true, threads, left, rows, depth);

        foreach (var (from, count) in new[] { (0, 1), (199, 1), (3, 2), (8, 8), (100, 17), (0, 145) })
        {
            var alone = Run(path, isOurs: true, threads: 1, left[(from * depth)..((from + count) * depth)], count, depth);
            Assert.Equal(together[(from * columns)..((from + count) * columns)], alone);
        }
    }

    [Fact]
    public void Run_NoRows_GivesNone()
    {
        var path = Describe(16, 40, isTransposed: true).Save(_folder["product.onnx"]);

        Assert.Empty(Run(path, isOurs: true, threads: 1, [], rows: 0, depth: 16));
    }

    [Fact]
    public void Create_AttributesThatOnlyTheRuntimeKnows_AreRefusedAndTheGraphIsLoadedWithout()
    {
        var path = Describe(16, 16, isTransposed: true, ("alpha", 0.5f)).Save(_folder["scaled.onnx"]);

        var error = Assert.Throws<OrtException>(() => Run(path, isOurs: true, threads: 1, Numbers(16, seed: 3), 1, 16));
        using var loaded = GraphLoader.LoadDecoder(path, headSize: 32, OrtElementType.F32, threads: 1, spinMicroseconds: 0);

        Assert.Contains("the runtime's own kernel must take", error.Message, StringComparison.Ordinal);
        Assert.Equal("product", loaded.Outputs.Single().Name);
    }

    [Fact]
    public unsafe void Share_EqualWeights_AreThereOnce()
    {
        var (numbers, others) = (Numbers(40 * 8, seed: 5), Numbers(40 * 8, seed: 6));
        fixed (float* first = numbers, second = others)
        {
            var one = PackedMatrices.Share(PackedMatrix.Pack(first, 8, 40, isTransposed: true));
            var same = PackedMatrices.Share(PackedMatrix.Pack(first, 8, 40, isTransposed: true));
            var other = PackedMatrices.Share(PackedMatrix.Pack(second, 8, 40, isTransposed: true));

            Assert.True(one == same && one != other, "equal weights are shared, and only those");
            PackedMatrices.Drop(same);
            PackedMatrices.Drop(other);
            Assert.Equal(numbers[0], one->Weights[0]);
            PackedMatrices.Drop(one);
        }
    }

    [Fact]
    public void For_ThisMachine_OffersEveryWayToLoadAGraphBeforeTheNext()
    {
        var (attention, matrix) = (AttentionOperator.For(headSize: 32, OrtElementType.F32), MatrixOperator.ForThisMachine);

        var found = OwnKernels.For(headSize: 32, OrtElementType.F32);

        Assert.Equal(attention is null && matrix is null ? [] : [new OwnKernels(attention, matrix)], found.Take(1));
        Assert.Equal(attention is null || matrix is null ? found.Take(1) : [found[0], new(attention, null), new(null, matrix)], found);
    }

    private static OnnxGraphBuilder Describe(int depth, int columns, bool isTransposed, params (string Name, object Value)[] attributes)
    {
        long[] shape = isTransposed ? [columns, depth] : [depth, columns];
        return new OnnxGraphBuilder()
            .Input("left", F32, "R", depth)
            .Constant("weights", Numbers(depth * columns, seed: 4), shape)
            .Output("product", F32, "R", columns)
            .Node(ContribDomain, "FusedMatMul", ["left", "weights"], ["product"], [("transB", isTransposed ? 1 : 0), .. attributes]);
    }

    private static float[] Run(string path, bool isOurs, int threads, float[] left, int rows, int depth)
    {
        using var options = new OrtSessionOptions(threads);
        if (isOurs)
            new OwnKernels(Attention: null, MatrixOperator.ForAnyMachine).AddTo(options);
        using var session = new OrtSession(path, options);
        using var input = OrtValue.From(left, rows, depth);
        var outputs = session.Run([("left", input)], ["product"]);
        using var product = outputs[0];
        return product.Elements<float>().ToArray();
    }

    private static float[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
    }
}
