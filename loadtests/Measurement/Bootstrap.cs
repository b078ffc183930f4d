namespace Tessera.LoadTests.Measurement;

/// <summary>Percentile bootstrap over whole pairs: a resample takes a prompt's two runs together, so what both share cancels out.</summary>
public static class Bootstrap
{
    /// <summary>Resamples per interval. 2,000: the bounds move by about one percent of the interval's width between seeds.</summary>
    public const int Resamples = 2000;

    /// <summary>The 95 % interval of a statistic.</summary>
    /// <param name="count">Number of pairs.</param>
    /// <param name="statistic">The statistic of a resample, given as indices into the pairs, with repeats.</param>
    /// <param name="seed">Same seed, same interval.</param>
    /// <returns>Null with fewer than two pairs, or when the statistic is not finite on some resample.</returns>
    public static Interval? Estimate(int count, Func<int[], double> statistic, int seed)
    {
        ArgumentNullException.ThrowIfNull(statistic);
        if (count < 2)
        {
            return null;
        }

        var random = new Random(seed);
        var indices = new int[count];
        var estimates = new double[Resamples];
        for (var resample = 0; resample < Resamples; resample++)
        {
            for (var i = 0; i < count; i++)
            {
                indices[i] = random.Next(count);
            }

            estimates[resample] = statistic(indices);
            if (!double.IsFinite(estimates[resample]))
            {
                return null;
            }
        }

        Array.Sort(estimates);
        return new Interval(Percentiles.Of(estimates, 2.5), Percentiles.Of(estimates, 97.5));
    }
}
