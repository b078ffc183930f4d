using Tessera.Engine.Sampling;

namespace Tessera.Engine.Tests.Sampling;

public sealed class LogprobReaderTests
{
    [Fact]
    public void Read_OfRow_EqualsTheDefinition()
    {
        var random = new Random(4);
        float[] row = [.. Enumerable.Range(0, 1000).Select(_ => (float)(random.NextDouble() * 30))];
        var total = row.Sum(logit => Math.Exp(logit));

        var read = new LogprobReader(1000).Read(row, 17, 20);

        Assert.Equal(17, read.Id);
        Assert.Equal(Math.Log(Math.Exp(row[17]) / total), read.Logprob, 1e-4);
        var expected = row.Select((logit, id) => (Id: id, Logprob: Math.Log(Math.Exp(logit) / total))).OrderByDescending(item => item.Logprob).Take(20).ToList();
        Assert.Equal(expected.Select(item => item.Id), read.Top.Select(item => item.Id));
        Assert.All(expected.Zip(read.Top), pair => Assert.Equal(pair.First.Logprob, pair.Second.Logprob, 1e-4));
    }

    [Fact]
    public void Read_WithTies_ListsTheLowestIdsFirst() =>
        Assert.Equal([1, 2, 4], new LogprobReader(5).Read([0, 3, 3, 0, 3], 0, 3).Top.Select(item => item.Id));

    [Fact]
    public void Read_WithoutAlternatives_IsTheTokenAlone()
    {
        var read = new LogprobReader(2).Read([0, 0], 1, 0);

        Assert.Empty(read.Top);
        Assert.Equal(-0.6931472f, read.Logprob, 1e-6f);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    [InlineData(-1e30f)]
    public void Read_OfImpossibleToken_IsAFiniteNumber(float logit) => Assert.Equal(-9999, new LogprobReader(3).Read([1, logit, 2], 1, 3).Logprob);
}
