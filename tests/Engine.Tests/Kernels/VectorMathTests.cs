using System.Runtime.Intrinsics;
using Tessera.Engine.Kernels;

namespace Tessera.Engine.Tests.Kernels;

/// <summary>Both widths on every machine: what it has no instructions for is computed without.</summary>
public sealed unsafe class VectorMathTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Exp_OfNumbersUpToZero_HasARelativeErrorOfAFewRoundings(bool isWide)
    {
        for (var x = 0f; x > -87; x -= 0.0137f)
            Assert.InRange(Exp(x, isWide) / Math.Exp(x), 1 - 4e-7, 1 + 4e-7);
    }

    [Theory]
    [InlineData(-88f)]
    [InlineData(-1e30f)]
    [InlineData(float.NegativeInfinity)]
    public void Exp_OfWhatIsFarBelow_IsExactlyZero(float x)
    {
        Assert.Equal(0, Exp(x, isWide: true));
        Assert.Equal(0, Exp(x, isWide: false));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Softmax_OfAPart_WeighsItAndClearsTheRestOfItsVectors(bool isWide)
    {
        var scores = stackalloc float[48];
        for (var i = 0; i < 48; i++)
            scores[i] = i;

        var share = isWide ? VectorMath<Width512, Vector512<float>>.Softmax(scores, 18, 21) : VectorMath<Width256, Vector256<float>>.Softmax(scores, 18, 21);

        var sum = 1 + Math.Exp(-1) + Math.Exp(-2);
        var end = isWide ? 32 : 24;
        Assert.Equal(1 / sum, share, 1e-6);
        Assert.Equal([0, 0, (float)Math.Exp(-2), (float)Math.Exp(-1), 1f, 0], new ReadOnlySpan<float>(scores + 16, 6).ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.All(new ReadOnlySpan<float>(scores + 21, end - 21).ToArray(), weight => Assert.Equal(0, weight));
        Assert.Equal(15f, scores[15]);
        Assert.Equal(end, scores[end]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Store_AsBytes_RoundsToTheNearestAndStaysInTheirRange(bool isWide)
    {
        float[] numbers = [-1000, -128.4f, -127.5f, -1.5f, -0.5f, -0.2f, 0, 0.49f, 0.51f, 2.5f, 63, 126.6f, 127, 127.4f, 128, 3e9f];
        var bytes = stackalloc sbyte[numbers.Length];
        fixed (float* source = numbers)
        {
            if (isWide)
                Width512.Store(Width512.Load(source), bytes);
            for (var i = 0; i < numbers.Length && !isWide; i += Width256.Count)
                Width256.Store(Width256.Load(source + i), bytes + i);
        }

        Assert.Equal<sbyte>([-128, -128, -128, -2, 0, 0, 0, 0, 1, 2, 63, 127, 127, 127, 127, 127], new ReadOnlySpan<sbyte>(bytes, numbers.Length).ToArray());
    }

    private static float Exp(float x, bool isWide) => isWide
        ? VectorMath<Width512, Vector512<float>>.Exp(Vector512.Create(x))[0]
        : VectorMath<Width256, Vector256<float>>.Exp(Vector256.Create(x))[0];
}
