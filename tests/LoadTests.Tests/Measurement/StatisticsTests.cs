using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Tests.Measurement;

public sealed class PercentilesTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(25, 1.75)]
    [InlineData(50, 2.5)]
    [InlineData(90, 3.7)]
    [InlineData(100, 4)]
    public void Of_FourValues_InterpolatesBetweenRanks(double percent, double expected) =>
        Assert.Equal(expected, Percentiles.Of([1, 2, 3, 4], percent), 12);

    [Fact]
    public void Of_OneValue_IsThatValue() => Assert.Equal(7, Percentiles.Of([7], 99));

    [Fact]
    public void Of_NoValues_Throws() => Assert.Throws<ArgumentOutOfRangeException>(() => Percentiles.Of([], 50));

    [Theory]
    [InlineData(-1)]
    [InlineData(100.5)]
    public void Of_PercentOutOfRange_Throws(double percent) => Assert.Throws<ArgumentOutOfRangeException>(() => Percentiles.Of([1], percent));

    [Fact]
    public void Distribution_UnsortedValues_DescribesThem()
    {
        var distribution = Distribution.From([40, 10, 30, 20]);

        Assert.Equal(4, distribution.N);
        Assert.Equal(25, distribution.Mean);
        Assert.Equal(25, distribution.P50);
        Assert.Equal(37, distribution.P90!.Value, 12);
        Assert.Equal(38.5, distribution.P95!.Value, 12);
        Assert.Equal(39.7, distribution.P99!.Value, 12);
        Assert.Equal(40, distribution.Max);
    }

    [Fact]
    public void Distribution_NoValues_HasNoFigures() => Assert.Equal(new Distribution(0, null, null, null, null, null, null), Distribution.From([]));
}

public sealed class ProportionTests
{
    // Roots of (share - x)^2 = z^2 x (1 - x) / n, worked out apart from this code.
    [Theory]
    [InlineData(8, 10, 0.4901624715366, 0.9433178485456)]
    [InlineData(0, 10, 0, 0.2775327998629)]
    [InlineData(10, 10, 0.7224672001371, 1)]
    [InlineData(285, 300, 0.9191529665273, 0.9694683593704)]
    public void Wilson_KnownShares_GivesTheScoreInterval(int correct, int n, double low, double high)
    {
        var share = Proportion.Wilson(correct, n);

        Assert.Equal((double)correct / n, share.Value);
        Assert.Equal(low, share.Low!.Value, 11);
        Assert.Equal(high, share.High!.Value, 11);
    }

    [Fact]
    public void Wilson_NoTrials_HasNoFigures() => Assert.Equal(new Proportion(0, 0, null, null, null), Proportion.Wilson(0, 0));

    [Fact]
    public void Wilson_MoreCorrectThanTrials_Throws() => Assert.Throws<ArgumentOutOfRangeException>(() => Proportion.Wilson(3, 2));
}

public sealed class McNemarTests
{
    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(3, 3, 1)]
    [InlineData(3, 4, 1)]
    [InlineData(1, 5, 14.0 / 64)]
    [InlineData(5, 1, 14.0 / 64)]
    [InlineData(0, 5, 2.0 / 32)]
    [InlineData(5, 30, 0.0000223615206778)]
    [InlineData(600, 700, 0.00601579386104)]
    public void ExactP_DiscordantPairs_IsTheBinomialTail(int onlyFirst, int onlySecond, double expected) =>
        Assert.Equal(expected, McNemar.ExactP(onlyFirst, onlySecond), 13);
}

public sealed class BootstrapTests
{
    [Fact]
    public void Estimate_HalfOfAHundred_IsCloseToTheBinomialInterval()
    {
        // Standard error 0.05: the interval is 0.5 -+ 0.098.
        var interval = Bootstrap.Estimate(100, indices => indices.Average(i => i % 2), seed: 3)!.Value;

        Assert.InRange(interval.Low, 0.38, 0.42);
        Assert.InRange(interval.High, 0.58, 0.62);
    }

    [Fact]
    public void Estimate_SameSeed_IsTheSame()
    {
        static Interval? Run(int seed) => Bootstrap.Estimate(20, indices => indices.Average(i => Math.Sqrt(i)), seed);

        Assert.Equal(Run(5), Run(5));
        Assert.NotEqual(Run(5), Run(6));
    }

    [Fact]
    public void Estimate_OnePair_HasNoInterval() => Assert.Null(Bootstrap.Estimate(1, _ => 1, seed: 1));

    [Fact]
    public void Estimate_StatisticNotFinite_HasNoInterval() => Assert.Null(Bootstrap.Estimate(3, indices => 1.0 / indices.Sum(i => i == 0 ? 0 : 0), seed: 1));
}

public sealed class PairedRatioTests
{
    [Fact]
    public void Estimate_EveryPairTwiceAsLong_IsTwoWithoutWidth()
    {
        // Prompts differ a thousandfold, their ratios not at all: only resampling whole pairs gives an interval without width.
        Weighted[] latent = [new(1), new(10), new(100), new(1000)];
        Weighted[] text = [new(2), new(20), new(200), new(2000)];

        var ratio = PairedRatio.Estimate(text, latent, PairedRatio.Mean, seed: 1);

        Assert.Equal(4, ratio.N);
        Assert.Equal(555.5, ratio.Baseline);
        Assert.Equal(277.75, ratio.Arm);
        Assert.Equal(2, ratio.Ratio);
        Assert.Equal(2, ratio.Low!.Value, 12);
        Assert.Equal(2, ratio.High!.Value, 12);
    }

    [Fact]
    public void Estimate_Percentile_IsTheRatioOfPercentiles()
    {
        var ratio = PairedRatio.Estimate([new(30), new(10), new(20)], [new(1), new(5), new(4)], PairedRatio.Percentile(50), seed: 1);

        Assert.Equal(20, ratio.Baseline);
        Assert.Equal(4, ratio.Arm);
        Assert.Equal(5, ratio.Ratio);
        Assert.InRange(ratio.Low!.Value, 2, 5);
        Assert.InRange(ratio.High!.Value, 5, 30);
    }

    [Fact]
    public void Mean_Weights_PoolsTheParts() => Assert.Equal(2.5, PairedRatio.Mean([new(1, 1), new(3, 3)]));

    [Fact]
    public void Estimate_LatentZero_HasNoRatio()
    {
        var ratio = PairedRatio.Estimate([new(1), new(2)], [new(0), new(0)], PairedRatio.Mean, seed: 1);

        Assert.Equal(new RatioEstimate(2, 1.5, 0, null, null, null), ratio);
    }

    [Fact]
    public void Estimate_NoPairs_HasNoFigures() =>
        Assert.Equal(new RatioEstimate(0, null, null, null, null, null), PairedRatio.Estimate([], [], PairedRatio.Mean, seed: 1));

    [Fact]
    public void MeanEstimate_EqualValues_HasNoWidth() => Assert.Equal(new MeanEstimate(4, 4, 4), MeanEstimate.Of([4, 4, 4], seed: 1));
}
