namespace Tessera.LoadTests.Measurement;

/// <summary>A value and how much of it there is: a request's mean over its tokens weighs as many tokens, a rate weighs its seconds.</summary>
/// <param name="Value">The value.</param>
/// <param name="Weight">Its weight, not negative.</param>
public readonly record struct Weighted(double Value, double Weight = 1);

/// <summary>A statistic of baseline and arm over the same pairs, and their ratio.</summary>
/// <param name="N">Pairs (or blocks) it rests on.</param>
/// <param name="Baseline">Of the baseline; null without pairs.</param>
/// <param name="Arm">Of the arm; null without pairs.</param>
/// <param name="Ratio">Baseline over arm; null when the arm's is 0.</param>
/// <param name="Low">Lower bound of the 95 % interval; null with fewer than two pairs.</param>
/// <param name="High">Upper bound of the 95 % interval.</param>
public sealed record RatioEstimate(int N, double? Baseline, double? Arm, double? Ratio, double? Low, double? High);

/// <summary>Ratios baseline / arm with paired bootstrap intervals.</summary>
public static class PairedRatio
{
    /// <summary>Mean, weighted.</summary>
    public static double Mean(Weighted[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        var sum = 0.0;
        var weight = 0.0;
        foreach (var value in values)
        {
            sum += value.Value * value.Weight;
            weight += value.Weight;
        }

        return sum / weight;
    }

    /// <summary>A percentile as a statistic; weights do not count.</summary>
    public static Func<Weighted[], double> Percentile(double percent) => values =>
    {
        var sorted = Array.ConvertAll(values, value => value.Value);
        Array.Sort(sorted);
        return Percentiles.Of(sorted, percent);
    };

    /// <summary>The ratio of a statistic.</summary>
    /// <param name="baseline">The baseline, pair by pair.</param>
    /// <param name="arm">The arm, the same pairs in the same order.</param>
    /// <param name="statistic">The statistic of one arm.</param>
    /// <param name="seed">Seed of the resampling.</param>
    public static RatioEstimate Estimate(Weighted[] baseline, Weighted[] arm, Func<Weighted[], double> statistic, int seed)
    {
        ArgumentNullException.ThrowIfNull(baseline);
        ArgumentNullException.ThrowIfNull(arm);
        ArgumentNullException.ThrowIfNull(statistic);
        ArgumentOutOfRangeException.ThrowIfNotEqual(arm.Length, baseline.Length);
        if (baseline.Length == 0)
        {
            return new RatioEstimate(0, null, null, null, null, null);
        }

        var baselineBuffer = new Weighted[baseline.Length];
        var armBuffer = new Weighted[baseline.Length];
        double RatioOf(int[] indices) => statistic(Take(baseline, indices, baselineBuffer)) / statistic(Take(arm, indices, armBuffer));
        var interval = Bootstrap.Estimate(baseline.Length, RatioOf, seed);
        var ofBaseline = statistic(baseline);
        var ofArm = statistic(arm);
        var ratio = ofBaseline / ofArm;
        return new RatioEstimate(baseline.Length, Finite(ofBaseline), Finite(ofArm), Finite(ratio), interval?.Low, interval?.High);
    }

    private static Weighted[] Take(Weighted[] values, int[] indices, Weighted[] buffer)
    {
        for (var i = 0; i < indices.Length; i++)
        {
            buffer[i] = values[indices[i]];
        }

        return buffer;
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}

/// <summary>A mean with its bootstrap interval.</summary>
/// <param name="Mean">Mean; null without values.</param>
/// <param name="Low">Lower bound of the 95 % interval; null with fewer than two values.</param>
/// <param name="High">Upper bound of the 95 % interval.</param>
public sealed record MeanEstimate(double? Mean, double? Low, double? High)
{
    /// <summary>Estimates the mean of the values.</summary>
    public static MeanEstimate Of(double[] values, int seed)
    {
        ArgumentNullException.ThrowIfNull(values);
        return values.Length == 0
            ? new MeanEstimate(null, null, null)
            : WithInterval(values.Average(), Bootstrap.Estimate(values.Length, indices => indices.Average(i => values[i]), seed));
    }

    /// <summary>Puts a value and its interval together.</summary>
    public static MeanEstimate WithInterval(double value, Interval? interval) =>
        new(double.IsFinite(value) ? value : null, interval?.Low, interval?.High);
}
