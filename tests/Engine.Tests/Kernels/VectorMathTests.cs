using System.Runtime.Intrinsics;
using Tessera.Engine.Kernels;

namespace Tessera.Engine.Tests.Kernels;

public sealed class VectorMathTests
{
    [Fact]
    public void Exp_OfNumbersUpToZero_HasARelativeErrorOfAFewRoundings()
    {
        for (var x = 0f; x > -87; x -= 0.0137f)
        {
            var found = VectorMath.Exp(Vector512.Create(x))[0];
            Assert.InRange(found / Math.Exp(x), 1 - 4e-7, 1 + 4e-7);
        }
    }

    [Theory]
    [InlineData(-88f)]
    [InlineData(-1e30f)]
    [InlineData(float.NegativeInfinity)]
    public void Exp_OfWhatIsFarBelow_IsExactlyZero(float x) => Assert.Equal(Vector512<float>.Zero, VectorMath.Exp(Vector512.Create(x)));

    [Fact]
    public unsafe void Softmax_OfAPart_WeighsItAndClearsTheRestOfItsVectors()
    {
        var scores = stackalloc float[48];
        for (var i = 0; i < 48; i++)
            scores[i] = i;

        var share = VectorMath.Softmax(scores, 18, 21);

        var sum = 1 + Math.Exp(-1) + Math.Exp(-2);
        Assert.Equal(1 / sum, share, 1e-6);
        Assert.Equal([0, 0, (float)Math.Exp(-2), (float)Math.Exp(-1), 1f, 0], new ReadOnlySpan<float>(scores + 16, 6).ToArray(), (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.All(new ReadOnlySpan<float>(scores + 21, 11).ToArray(), weight => Assert.Equal(0, weight));
        Assert.Equal(15f, scores[15]);
        Assert.Equal(32f, scores[32]);
    }
}
