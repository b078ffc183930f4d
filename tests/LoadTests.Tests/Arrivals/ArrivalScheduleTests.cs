using Tessera.LoadTests.Arrivals;

namespace Tessera.LoadTests.Tests.Arrivals;

public sealed class ArrivalScheduleTests
{
    private static double[] Gaps(TimeSpan[] arrivals) =>
        [.. arrivals.Prepend(TimeSpan.Zero).Zip(arrivals, (before, after) => (after - before).TotalSeconds)];

    // Of a gamma distribution with shape b the coefficient of variation is 1 / sqrt(b).
    [Theory]
    [InlineData(1)]
    [InlineData(0.25)]
    [InlineData(4)]
    public void Compute_ConstantRate_HasTheRateAndTheBurstiness(double burstiness)
    {
        var arrivals = ArrivalSchedule.Compute(20_000, new ArrivalSettings(1, Rate: 50, Burstiness: burstiness), seed: 7);

        var gaps = Gaps(arrivals);
        Assert.Equal(400, arrivals[^1].TotalSeconds, 3);
        Assert.All(gaps, gap => Assert.True(gap >= 0));
        var mean = gaps.Average();
        var deviation = Math.Sqrt(gaps.Average(gap => (gap - mean) * (gap - mean)));
        Assert.Equal(0.02, mean, 6);
        Assert.Equal(1, deviation / mean * Math.Sqrt(burstiness), 0.05);
    }

    [Fact]
    public void Compute_SameSeed_GivesTheSameTimes()
    {
        var settings = new ArrivalSettings(1, Rate: 3);

        Assert.Equal(ArrivalSchedule.Compute(100, settings, 1), ArrivalSchedule.Compute(100, settings, 1));
        Assert.NotEqual(ArrivalSchedule.Compute(100, settings, 1), ArrivalSchedule.Compute(100, settings, 2));
    }

    [Theory]
    [InlineData(RampShape.Linear)]
    [InlineData(RampShape.Exponential)]
    public void Compute_Ramp_StartsSlowAndEndsAtTheRate(RampShape shape)
    {
        var settings = new ArrivalSettings(1, Rate: 100, Burstiness: 1000, Ramp: new Ramp(10, shape));

        var gaps = Gaps(ArrivalSchedule.Compute(1000, settings, seed: 1));

        Assert.Equal(10, 1 / gaps.Take(20).Average(), 1.0);
        Assert.Equal(100, 1 / gaps.TakeLast(20).Average(), 3.0);
        Assert.Equal(shape == RampShape.Linear ? 55 : Math.Sqrt(1000), 1 / gaps.Skip(490).Take(20).Average(), 2.0);
    }
}
