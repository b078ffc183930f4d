namespace Tessera.LoadTests.Measurement;

/// <summary>The one definition of a percentile in this tool.</summary>
public static class Percentiles
{
    /// <summary>
    /// Linear interpolation between the two closest ranks: position <c>p / 100 * (n - 1)</c> from 0 (type 7 of Hyndman and Fan,
    /// numpy's default, hence what <c>vllm bench</c> prints).
    /// </summary>
    /// <param name="sorted">Ascending values; at least one.</param>
    /// <param name="percent">0 to 100.</param>
    public static double Of(ReadOnlySpan<double> sorted, double percent)
    {
        ArgumentOutOfRangeException.ThrowIfZero(sorted.Length, nameof(sorted));
        ArgumentOutOfRangeException.ThrowIfNegative(percent);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(percent, 100);
        var position = percent / 100 * (sorted.Length - 1);
        var below = (int)Math.Floor(position);
        var above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + ((position - below) * (sorted[above] - sorted[below]));
    }
}

/// <summary>What is reported of a set of measured values, in the unit of the values. All but <paramref name="N"/> are null when there are none.</summary>
/// <param name="N">How many values.</param>
/// <param name="Mean">Arithmetic mean.</param>
/// <param name="P50">Median.</param>
/// <param name="P90">90th percentile.</param>
/// <param name="P95">95th percentile.</param>
/// <param name="P99">99th percentile.</param>
/// <param name="Max">Largest value.</param>
public sealed record Distribution(int N, double? Mean, double? P50, double? P90, double? P95, double? P99, double? Max)
{
    /// <summary>Describes the values; the order does not matter.</summary>
    public static Distribution From(IEnumerable<double> values)
    {
        var sorted = values.ToArray();
        if (sorted.Length == 0)
        {
            return new Distribution(0, null, null, null, null, null, null);
        }

        Array.Sort(sorted);
        return new Distribution(
            sorted.Length,
            sorted.Average(),
            Percentiles.Of(sorted, 50),
            Percentiles.Of(sorted, 90),
            Percentiles.Of(sorted, 95),
            Percentiles.Of(sorted, 99),
            sorted[^1]);
    }
}
