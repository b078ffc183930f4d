using Tessera.Engine.Execution;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Execution;

public sealed class DecodePolicyTests
{
    [Theory]
    [InlineData(1, 2, 1)]
    [InlineData(15, 2, 1)]
    [InlineData(16, 2, 2)]
    [InlineData(32, 2, 2)]
    [InlineData(32, 16, 4)]
    [InlineData(32, 1, 1)]
    [InlineData(0, 4, 1)]
    [InlineData(32, 0, 1)]
    public void Parts_OfRows_HaveAtLeastEight(int rows, int maxParts, int expected) => Assert.Equal(expected, DecodePolicy.Parts(rows, maxParts));

    [Theory]
    [InlineData(32, 2, new[] { 0, 16, 32 })]
    [InlineData(17, 2, new[] { 0, 9, 17 })]
    [InlineData(26, 3, new[] { 0, 9, 18, 26 })]
    public void FirstRow_OfEveryPart_CoversAllRows(int rows, int parts, int[] expected) =>
        Assert.Equal(expected, Enumerable.Range(0, parts + 1).Select(part => DecodePolicy.FirstRow(rows, parts, part)));

    [Fact]
    public void MaxParts_ModelWithMoreWeightsThanCaches_IsNotDivided()
    {
        var small = TinyDecoderWeights.Small();

        Assert.Equal(2, DecodePolicy.MaxParts(small with { LayerCount = 5, HiddenSize = 128 }, threads: 2));
        Assert.Equal(1, DecodePolicy.MaxParts(small with { LayerCount = 16, HiddenSize = 2048 }, threads: 2));
        Assert.Equal(1, DecodePolicy.MaxParts(small, threads: 1));
    }
}
