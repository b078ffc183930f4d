namespace Tessera.LoadTests.Measurement;

/// <summary>A 95 % interval.</summary>
/// <param name="Low">Lower bound.</param>
/// <param name="High">Upper bound.</param>
public readonly record struct Interval(double Low, double High);

/// <summary>A share of successes with its Wilson score interval.</summary>
/// <param name="Correct">Successes.</param>
/// <param name="N">Trials.</param>
/// <param name="Value">Correct / N; null without trials.</param>
/// <param name="Low">Lower bound of the 95 % interval; null without trials.</param>
/// <param name="High">Upper bound of the 95 % interval; null without trials.</param>
public sealed record Proportion(int Correct, int N, double? Value, double? Low, double? High)
{
    // The 97.5 % quantile of the normal distribution.
    private const double Z = 1.959963984540054;

    /// <summary>Wilson (1927) score interval without continuity correction: stays within [0, 1] and is honest near both ends.</summary>
    public static Proportion Wilson(int correct, int n)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(correct);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(correct, n);
        if (n == 0)
        {
            return new Proportion(0, 0, null, null, null);
        }

        var share = (double)correct / n;
        var z2 = Z * Z;
        var scale = 1 + (z2 / n);
        var centre = (share + (z2 / (2 * n))) / scale;
        var half = Z * Math.Sqrt((share * (1 - share) / n) + (z2 / (4.0 * n * n))) / scale;

        // Rounding must not leave [0, 1], nor miss the exact bound at either end.
        var low = correct == 0 ? 0 : Math.Max(0, centre - half);
        var high = correct == n ? 1 : Math.Min(1, centre + half);
        return new Proportion(correct, n, share, low, high);
    }
}
