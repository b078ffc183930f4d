using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Engine.Sampling;

namespace Tessera.Engine.Tests.Sampling;

public sealed class SamplerTests
{
    private static readonly SamplingOptions Greedy = new(0, 0, 1, 0);

    [Theory]
    [InlineData(0, 99, 100)]
    [InlineData(7, 8, 100)]
    [InlineData(15, 16, 100)]
    [InlineData(1, 65, 100)]
    [InlineData(31, 63, 64)]
    [InlineData(2, 3, 5)]
    public void Greedy_WithTies_TakesTheLowestId(int first, int second, int size)
    {
        var logits = new float[size];
        Array.Fill(logits, -1);
        logits[first] = logits[second] = 3;

        Assert.Equal(first, new Sampler(size).Sample(logits, All(size), Greedy, 0));
    }

    [Fact]
    public void Greedy_WithTiesAcrossRanges_TakesTheLowestId()
    {
        var mask = new TokenMask(new IdRange(1, 3), new IdRange(5, 7));

        Assert.Equal(2, new Sampler(8).Sample([9, 1, 4, 9, 9, 4, 2, 9], mask, Greedy, 0));
    }

    [Fact]
    public void Greedy_WithMask_TakesTheBestAllowed() =>
        Assert.Equal(4, new Sampler(6).Sample([9, 8, 7, 1, 2, 0], new TokenMask(new IdRange(3, 6)), Greedy, 0));

    [Fact]
    public void Sample_WithOneAllowed_TakesItWhateverTheLogits() =>
        Assert.Equal(1, new Sampler(3).Sample([float.NaN, float.NaN, float.NaN], new TokenMask(new IdRange(1, 2)), Greedy, 0));

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.NaN, 1)]
    [InlineData(float.NegativeInfinity, 0)]
    [InlineData(float.NegativeInfinity, 1)]
    public void Sample_WithoutUsableLogit_IsNull(float logit, float temperature) =>
        Assert.Null(new Sampler(3).Sample([logit, logit, logit], All(3), new SamplingOptions(temperature, 0, 1, 1), 0));

    [Fact]
    public void Sample_OfForbiddenNotANumber_IsFine() =>
        Assert.Equal(2, new Sampler(3).Sample([float.NaN, 0, 5], new TokenMask(new IdRange(1, 3)), new SamplingOptions(0.01f, 0, 1, 1), 0));

    [Theory]
    [InlineData(0, 1f)]
    [InlineData(3, 1f)]
    [InlineData(0, 0.6f)]
    [InlineData(3, 0.9f)]
    public void Draw_OverManySeeds_FollowsTheDistribution(int topK, float topP)
    {
        // exp of the logits: 1, 2, 4, 8 of 15; id 4 is forbidden.
        float[] logits = [0, MathF.Log(2), MathF.Log(4), MathF.Log(8), 50];
        var expected = Expected([1, 2, 4, 8], topK, topP);
        var counts = new int[5];
        var sampler = new Sampler(5);
        const int Draws = 40_000;
        for (var seed = 0; seed < Draws; seed++)
        {
            counts[sampler.Sample(logits, new TokenMask(new IdRange(0, 4)), new SamplingOptions(1, topK, topP, (ulong)seed), 3)!.Value]++;
        }

        for (var id = 0; id < 4; id++)
        {
            // 5 standard deviations at most: 0.0125 of the draws.
            Assert.Equal(expected[id], counts[id] / (double)Draws, 0.0125);
            Assert.Equal(expected[id] == 0, counts[id] == 0);
        }

        Assert.Equal(0, counts[4]);
    }

    [Fact]
    public void Draw_AtLowTemperature_TakesTheBest()
    {
        var sampler = new Sampler(4);

        Assert.All(Enumerable.Range(0, 200), seed => Assert.Equal(2, sampler.Sample([1, 2, 2.5f, 0], All(4), new SamplingOptions(1e-6f, 0, 1, (ulong)seed), 0)));
    }

    [Fact]
    public void Draw_WithTopKOne_TakesTheLowestIdOfTies()
    {
        var sampler = new Sampler(4);

        Assert.All(Enumerable.Range(0, 200), seed => Assert.Equal(1, sampler.Sample([0, 2, 2, 1], All(4), new SamplingOptions(1, 1, 1, (ulong)seed), 0)));
    }

    [Fact]
    public void Draw_AfterOtherRows_IsTheSame()
    {
        var random = new Random(7);
        float[][] rows = [.. Enumerable.Range(0, 50).Select(_ => Enumerable.Range(0, 300).Select(_ => (float)random.NextDouble() * 5).ToArray())];
        var options = new SamplingOptions(0.8f, 40, 0.95f, 123);
        var shared = new Sampler(300);

        var batched = rows.Select((row, position) => shared.Sample(row, All(300), options, position)).ToList();
        var alone = rows.Select((row, position) => new Sampler(300).Sample(row, All(300), options, position)).ToList();

        Assert.Equal(alone, batched);
        Assert.True(batched.Distinct().Count() > 5);
    }

    [Fact]
    public void Draw_FromLargeVocabulary_EqualsAFullSort()
    {
        var random = new Random(11);
        var sampler = new Sampler(5000);
        for (var round = 0; round < 50; round++)
        {
            var logits = Enumerable.Range(0, 5000).Select(_ => (float)random.Next(0, 40) / 4).ToArray();
            var options = new SamplingOptions(1, random.Next(0, 60), 0.5f, (ulong)round);
            Assert.Contains(sampler.Sample(logits, All(5000), options, round)!.Value, Kept(logits, options));
        }
    }

    [Fact]
    public void Sample_OfRowOfOtherWidth_Throws() => Assert.Throws<ArgumentException>(() => new Sampler(3).Sample([1, 2], All(2), Greedy, 0));

    private static HashSet<int> Kept(float[] logits, SamplingOptions options)
    {
        var sorted = logits.Select((logit, id) => (Id: id, Weight: Math.Exp(logit))).OrderByDescending(item => item.Weight).ThenBy(item => item.Id);
        var best = (options.TopK == 0 ? sorted : sorted.Take(options.TopK)).ToList();

        // A little more than the nucleus: single precision may keep one candidate more or less.
        var nucleus = (options.TopP * best.Sum(item => item.Weight)) + (2 * best[0].Weight);
        double sum = 0;
        return [.. best.TakeWhile(item => (sum += item.Weight) - item.Weight < nucleus).Select(item => item.Id)];
    }

    private static double[] Expected(double[] weights, int topK, double topP)
    {
        var order = Enumerable.Range(0, weights.Length).OrderByDescending(id => weights[id]).Take(topK == 0 ? weights.Length : topK).ToList();
        var total = order.Sum(id => weights[id]);
        var kept = new List<int>();
        foreach (var id in order)
        {
            kept.Add(id);
            if (kept.Sum(other => weights[other]) >= topP * total)
            {
                break;
            }
        }

        var mass = kept.Sum(id => weights[id]);
        return [.. Enumerable.Range(0, weights.Length).Select(id => kept.Contains(id) ? weights[id] / mass : 0)];
    }

    private static TokenMask All(int size) => new(new IdRange(0, size));
}
