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

        Assert.Equal(first, Sample(new Sampler(size), logits, All(size), Greedy, 0));
    }

    [Fact]
    public void Greedy_WithTiesAcrossRanges_TakesTheLowestId()
    {
        var mask = new TokenMask(new IdRange(1, 3), new IdRange(5, 7));

        Assert.Equal(2, Sample(new Sampler(8), [9, 1, 4, 9, 9, 4, 2, 9], mask, Greedy, 0));
    }

    [Fact]
    public void Greedy_WithMask_TakesTheBestAllowed() =>
        Assert.Equal(4, Sample(new Sampler(6), [9, 8, 7, 1, 2, 0], new TokenMask(new IdRange(3, 6)), Greedy, 0));

    [Fact]
    public void Sample_WithOneAllowed_TakesItWhateverTheLogits() =>
        Assert.Equal(1, Sample(new Sampler(3), [float.NaN, float.NaN, float.NaN], new TokenMask(new IdRange(1, 2)), Greedy, 0));

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.NaN, 1)]
    [InlineData(float.NegativeInfinity, 0)]
    [InlineData(float.NegativeInfinity, 1)]
    public void Sample_WithoutUsableLogit_IsNull(float logit, float temperature) =>
        Assert.Null(Sample(new Sampler(3), [logit, logit, logit], All(3), new SamplingOptions(temperature, 0, 1, 1), 0));

    [Fact]
    public void Sample_OfForbiddenNotANumber_IsFine() =>
        Assert.Equal(2, Sample(new Sampler(3), [float.NaN, 0, 5], new TokenMask(new IdRange(1, 3)), new SamplingOptions(0.01f, 0, 1, 1), 0));

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
            counts[Sample(sampler, logits, new TokenMask(new IdRange(0, 4)), new SamplingOptions(1, topK, topP, (ulong)seed), 3)!.Value]++;
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

        Assert.All(Enumerable.Range(0, 200), seed => Assert.Equal(2, Sample(sampler, [1, 2, 2.5f, 0], All(4), new SamplingOptions(1e-6f, 0, 1, (ulong)seed), 0)));
    }

    [Fact]
    public void Draw_WithTopKOne_TakesTheLowestIdOfTies()
    {
        var sampler = new Sampler(4);

        Assert.All(Enumerable.Range(0, 200), seed => Assert.Equal(1, Sample(sampler, [0, 2, 2, 1], All(4), new SamplingOptions(1, 1, 1, (ulong)seed), 0)));
    }

    [Fact]
    public void Draw_AfterOtherRows_IsTheSame()
    {
        var random = new Random(7);
        float[][] rows = [.. Enumerable.Range(0, 50).Select(_ => Enumerable.Range(0, 300).Select(_ => (float)random.NextDouble() * 5).ToArray())];
        var options = new SamplingOptions(0.8f, 40, 0.95f, 123);
        var shared = new Sampler(300);

        var batched = rows.Select((row, position) => Sample(shared, row, All(300), options, position)).ToList();
        var alone = rows.Select((row, position) => Sample(new Sampler(300), row, All(300), options, position)).ToList();

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
            Assert.Contains(Sample(sampler, logits, All(5000), options, round)!.Value, Kept(logits, options));
        }
    }

    [Theory]
    [InlineData(0.3f, 0, 1f, new[] { 2, 3 })]
    [InlineData(0.125f, 0, 1f, new[] { 0, 1, 2, 3 })]
    [InlineData(0.13f, 0, 1f, new[] { 1, 2, 3 })]
    [InlineData(1f, 0, 1f, new[] { 3 })]
    [InlineData(0.13f, 2, 1f, new[] { 2, 3 })]
    [InlineData(0.13f, 0, 0.85f, new[] { 2, 3 })]
    public void Draw_WithMinP_KeepsCandidatesOfThatPartOfTheBest(float minP, int topK, float topP, int[] kept)
    {
        // Weights 1, 2, 4, 8: parts 0.125, 0.25, 0.5, 1 of the best. Of 2, 4, 8 the last two are 12/14 = 0.857.
        float[] logits = [0, MathF.Log(2), MathF.Log(4), MathF.Log(8), 50];
        var sampler = new Sampler(5);
        var options = new SamplingOptions(1, topK, topP, 0) { MinP = minP };

        var drawn = Enumerable.Range(0, 2000).Select(seed => Sample(sampler, logits, new TokenMask(new IdRange(0, 4)), options with { Seed = (ulong)seed }, 0)!.Value);

        Assert.Equal(kept, drawn.Distinct().Order());
    }

    [Theory]
    [InlineData(0f)]
    [InlineData(0.001f)]
    public void Sample_WithBias_AddsItBeforeTheMask(float temperature)
    {
        var options = new SamplingOptions(temperature, 0, 1, 3) { LogitBias = new Dictionary<int, float> { [1] = 5, [3] = -100, [4] = 100 } };

        // 1 + 5 beats 5; id 3 falls; id 4 would win but is forbidden.
        Assert.Equal(1, Sample(new Sampler(5), [5, 1, 0, 9, 0], new TokenMask(new IdRange(0, 4)), options, 0));
    }

    [Fact]
    public void Sample_WithPenalties_ChangesWhatWasSaid()
    {
        // Ids below 8 are text, 7 is the end. The prompt has 0 and 1, the response 1, 2 and 2, the end and a latent.
        var history = new TokenHistory(textIdCount: 8, eosId: 7);
        foreach (var id in new[] { 0, 1, 9 })
        {
            history.AddPrompt(id);
        }

        foreach (var id in new[] { 1, 2, 2, 7, 9 })
        {
            history.Add(id);
        }

        float[] logits = [4, 4, 4, 4, -4, 4, 4, 4, 4, 4];
        history.Apply(new SamplingOptions(0, 0, 1, 0) { RepetitionPenalty = 2, FrequencyPenalty = 0.5f, PresencePenalty = 0.25f }, logits);

        Assert.Equal([2, 2 - 0.5f - 0.25f, 2 - 1f - 0.25f, 4, -4, 4, 4, 4, 4, 4], logits);
    }

    [Fact]
    public void Sample_WithRepetitionPenalty_LowersNegativeLogitsToo()
    {
        var history = new TokenHistory(8, 7);
        history.Add(0);
        var sampler = new Sampler(2);
        var options = new SamplingOptions(0, 0, 1, 0) { RepetitionPenalty = 1.5f };

        Assert.Equal(1, sampler.Sample([-1, -1.2f], new SamplingRow(0, All(2), options, 0, 0, history)));
        Assert.Equal(0, sampler.Sample([-1, -1.2f], new SamplingRow(0, All(2), options, 0, 0, null)));
    }

    [Fact]
    public void Sample_OfAllRows_EqualsEachRowAlone()
    {
        var random = new Random(3);
        var history = new TokenHistory(90, 1);
        history.Add(5);
        float[] logits = [.. Enumerable.Range(0, 40 * 100).Select(_ => (float)random.NextDouble() * 4)];
        SamplingRow[] rows = [.. Enumerable.Range(0, 40).Select(i =>
        {
            var options = new SamplingOptions(i % 3 * 0.5f, i % 4 * 7, i % 5 == 0 ? 0.7f : 1, (ulong)i) { MinP = i % 2 * 0.1f, PresencePenalty = 1 };
            return new SamplingRow(i, i % 7 == 0 ? new TokenMask(new IdRange(3, 20), new IdRange(40, 41)) : All(100), options, options.Seed, i, i % 2 == 0 ? history : null);
        })];
        var together = new int[40];

        new Sampler(100).Sample(logits, rows, together);

        var alone = rows.Select((row, i) => new Sampler(100).Sample(logits.AsSpan(i * 100, 100), row));
        Assert.Equal(alone, together);
        Assert.True(together.Distinct().Count() > 10);
    }

    [Fact]
    public void Sample_InSteadyState_AllocatesNothing()
    {
        var random = new Random(5);
        float[] logits = [.. Enumerable.Range(0, 6 * 1000).Select(_ => (float)random.NextDouble() * 9)];
        var history = new TokenHistory(900, 1);
        var bias = new Dictionary<int, float> { [4] = 1 };
        SamplingOptions[] options =
        [
            new(0, 0, 1, 1), new(1, 0, 1, 1), new(1, 40, 0.9f, 1), new(1, 0, 0.9f, 1), new(0.7f, 0, 1, 1) { MinP = 0.05f, LogitBias = bias },
            new(0, 0, 1, 1) { RepetitionPenalty = 1.2f },
        ];
        SamplingRow[] rows = [.. options.Select((item, i) => new SamplingRow(i, All(1000), item, 1, 0, item.HasPenalties ? history : null))];
        var sampler = new Sampler(1000);
        var ids = new int[rows.Length];
        sampler.Sample(logits, rows, ids);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var step = 0; step < 100; step++)
        {
            sampler.Sample(logits, rows, ids);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Sample_OfRowOfOtherWidth_Throws() => Assert.Throws<ArgumentException>(() => Sample(new Sampler(3), [1, 2], All(2), Greedy, 0));

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

    // One row without a history; null when there is no usable logit.
    private static int? Sample(Sampler sampler, float[] logits, TokenMask mask, SamplingOptions options, int position) =>
        sampler.Sample(logits, new SamplingRow(0, mask, options, options.Seed, position, null)) is var id && id == Sampler.None ? null : id;
}
