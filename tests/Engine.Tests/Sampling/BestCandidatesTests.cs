using Tessera.Engine.Sampling;

namespace Tessera.Engine.Tests.Sampling;

public sealed class BestCandidatesTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 3)]
    [InlineData(64, 64)]
    [InlineData(65, 7)]
    [InlineData(5000, 40)]
    [InlineData(5000, 5000)]
    [InlineData(300, 1000)]
    public void Look_AtAll_KeepsTheBestInOrder(int count, int limit)
    {
        // Few distinct weights, so that there are many ties.
        var random = new Random(count + limit);
        float[] weights = [.. Enumerable.Range(0, count).Select(_ => (float)random.Next(-20, 60))];
        var best = new BestCandidates(5000);

        for (var round = 0; round < 2; round++)
        {
            best.Begin(limit);
            best.Look(weights.AsSpan(0, count / 2), 0, float.NegativeInfinity);
            best.Look(weights.AsSpan(count / 2), count / 2, float.NegativeInfinity);
            best.Order();

            var expected = weights.Select((weight, id) => new Candidate(id, weight)).OrderByDescending(item => item.Weight).ThenBy(item => item.Id).Take(limit);
            Assert.Equal(expected, best.Kept.ToArray());
        }
    }

    [Fact]
    public void Look_AtNotANumber_LeavesItOut()
    {
        var best = new BestCandidates(10);
        best.Begin(3);

        best.Look([float.NaN, 1, float.NaN, float.NegativeInfinity, 2], 10, float.NegativeInfinity);
        best.Order();

        Assert.Equal([new Candidate(14, 2), new Candidate(11, 1)], best.Kept.ToArray());
    }
}
