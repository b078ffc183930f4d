using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Tessera.Engine.Execution;
using Tessera.Engine.Kernels;
using Tessera.Engine.Runtime;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Kernels;

public sealed class AttentionOperatorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static readonly AttentionShape[] AnyWidth =
    [
        new(4, 4, 32),
        new(4, 4, 32, IsByte: true),
        new(4, 2, 16),
        new(6, 2, 48, Window: 9),
        new(2, 1, 64, IsPacked: false),
        new(2, 2, 128, Window: 20, IsPacked: false, IsByte: true),
        new(2, 2, 32, Rotary: false),
        new(1, 1, 80, IsByte: true),
    ];

    public static TheoryData<AttentionShape> Shapes =>
        [.. AnyWidth, .. AnyWidth.Select(shape => shape with { IsWide = true })];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Run_PromptsChunksAndSteps_EqualTheRuntimesOwnKernel(AttentionShape shape)
    {
        using var ours = new AttentionNode(_folder, shape, isOurs: true);
        using var theirs = new AttentionNode(_folder, shape, isOurs: false);
        int[] lengths = [23, 40, 1, 8];
        var padded = lengths.Select((length, row) => Inputs(shape, 40, seed: row)).ToArray();

        // Whole prompts padded to the longest, a chunk behind one of them, then one position of each row.
        int[] last = [.. lengths.Select(length => length - 1)];
        Compare(shape, padded, last, first: 0, total: 40, valid: lengths);
        Compare(shape, [Inputs(shape, 19, 10)], [23 + 18], first: 0, total: 23 + 19, valid: [19]);
        last[0] = 23 + 18;
        for (var step = 0; step < 3; step++)
        {
            last = [.. last.Select(position => position + 1)];
            Compare(shape, [.. last.Select((_, row) => Inputs(shape, 1, 20 + row + (4 * step)))], last, first: 0, total: last.Max() + 1, valid: [1, 1, 1, 1]);
        }

        void Compare(AttentionShape shape, float[][] inputs, int[] last, int first, int total, int[] valid)
        {
            var expected = theirs.Run(first, inputs, last, total);
            var found = ours.Run(first, inputs, last, total);
            foreach (var (row, count) in valid.Index())
                AssertClose(expected[row][..(count * shape.Heads * shape.Size)], found[row][..(count * shape.Heads * shape.Size)], shape.IsByte ? 5e-3f : 2e-5f);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Run_PromptInChunks_GivesTheSameBitsAsWhole(AttentionShape shape)
    {
        var inputs = Inputs(shape, 75, seed: 1);
        using var whole = new AttentionNode(_folder, shape, isOurs: true);
        var expected = whole.Run(1, [inputs], [74], 75)[0];

        foreach (var chunk in new[] { 2, 7, 16, 31, 74 })
        {
            using var chunked = new AttentionNode(_folder, shape, isOurs: true, threads: 2);
            var found = new List<float>();
            for (var start = 0; start < 75;)
            {
                // A last chunk of one position would be a decode step, which adds up in another order.
                var count = 75 - start - chunk == 1 ? chunk + 1 : Math.Min(chunk, 75 - start);
                found.AddRange(chunked.Run(1, [inputs[(start * shape.Width)..((start + count) * shape.Width)]], [start + count - 1], start + count)[0]);
                start += count;
            }

            Assert.Equal(expected, found);
            Assert.Equal(whole.Cache(), chunked.Cache());
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Run_RowsTogether_GiveTheSameBitsAsAlone(AttentionShape shape)
    {
        int[] lengths = [5, 60, 33, 2];
        using var together = new AttentionNode(_folder, shape, isOurs: true, threads: 2);
        using var alone = new AttentionNode(_folder, shape, isOurs: true);
        var prompts = lengths.Select((length, row) => Inputs(shape, length, row)).ToArray();
        var padded = prompts.Select(prompt => (float[])[.. prompt, .. new float[(60 * shape.Width) - prompt.Length]]).ToArray();
        var width = shape.Heads * shape.Size;

        var first = together.Run(0, padded, [.. lengths.Select(length => length - 1)], 60);
        var steps = lengths.Select((_, row) => Inputs(shape, 1, 50 + row)).ToArray();
        var second = together.Run(0, steps, lengths, 61);

        foreach (var (row, length) in lengths.Index())
        {
            Assert.Equal(alone.Run(row, [prompts[row]], [length - 1], length)[0], first[row][..(length * width)]);
            Assert.Equal(alone.Run(row, [steps[row]], [length], length + 1)[0], second[row]);
        }

        Assert.Equal(alone.Cache(), together.Cache());
    }

    [Fact]
    public void Run_PaddingOfAPrompt_ComesOutAsZeros()
    {
        var shape = new AttentionShape(2, 2, 32);
        using var node = new AttentionNode(_folder, shape, isOurs: true);

        var found = node.Run(0, [Inputs(shape, 20, 1), Inputs(shape, 20, 2)], [2, 19], 20)[0];

        Assert.All(found[(3 * 64)..], number => Assert.Equal(0, number));
        Assert.DoesNotContain(0, found[..(3 * 64)]);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(AttentionNode.Capacity)]
    public void Run_PositionOutsideOfTheCache_IsAnError(int last)
    {
        var shape = new AttentionShape(2, 2, 32);
        using var node = new AttentionNode(_folder, shape, isOurs: true);

        var error = Assert.Throws<OrtException>(() => node.Run(0, [Inputs(shape, 1, 1)], [last], AttentionNode.Capacity));

        Assert.Equal(OrtErrorCode.InvalidArgument, error.Code);
        Assert.Contains($"seqlens_k of row 0 is {last}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_AttributesThatOnlyTheRuntimeKnows_AreRefusedAndTheGraphIsLoadedWithout()
    {
        var shape = new AttentionShape(2, 2, 32);
        var error = Assert.Throws<OrtException>(() => new AttentionNode(_folder, shape, isOurs: true, attributes: ("softcap", 2f)));
        var path = AttentionNode.Describe(shape, ("softcap", 2f)).Save(_folder["capped.onnx"]);

        using var loaded = GraphLoader.LoadDecoder(path, shape.Size, OrtElementType.F32, threads: 1, spinMicroseconds: 0);

        Assert.Contains("the runtime's own kernel must take", error.Message, StringComparison.Ordinal);
        Assert.Equal("output", loaded.Outputs.Single(output => !output.Name.StartsWith("present", StringComparison.Ordinal)).Name);
    }

    [Theory]
    [InlineData(32, OrtElementType.F16)]
    [InlineData(24, OrtElementType.F32)]
    [InlineData(512, OrtElementType.F32)]
    public void For_ShapesThatOurKernelsDoNotTake_GivesNone(int size, OrtElementType cache) => Assert.Null(AttentionOperator.For(size, cache));

    [Fact]
    public void For_ThisMachine_GivesTheWidestVectorsThatItHas()
    {
        var expected = Vector512.IsHardwareAccelerated ? AttentionOperator.Of(OrtElementType.F32, isWide: true)
            : Avx2.IsSupported && Fma.IsSupported ? AttentionOperator.Of(OrtElementType.F32, isWide: false)
            : null;

        Assert.Same(expected, AttentionOperator.For(headSize: 32, OrtElementType.F32));
    }

    private static float[] Inputs(AttentionShape shape, int positions, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, positions * shape.Width).Select(_ => (random.NextSingle() * 4) - 2)];
    }

    private static void AssertClose(float[] expected, float[] found, float tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        Assert.True(expected.Max() - expected.Min() > 0.5, "the numbers do not differ enough to say anything");
        var difference = expected.Zip(found, (a, b) => Math.Abs(a - b)).Max();
        Assert.True(difference <= tolerance, $"outputs differ by {difference}, tolerance {tolerance}");
    }
}
