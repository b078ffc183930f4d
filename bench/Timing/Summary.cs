using System.Globalization;

namespace Tessera.Bench.Timing;

/// <summary>Rounds of one measure.</summary>
internal sealed record Summary(double MedianValue, double Low, double High)
{
    /// <summary>The median as text.</summary>
    public string Median => Number(MedianValue);

    /// <summary>Lowest and highest as text.</summary>
    public string Range => $"{Number(Low)} - {Number(High)}";

    /// <summary>Of at least one value.</summary>
    public static Summary Of(IReadOnlyList<double> values) => new(Percentile(values, 50), values.Min(), values.Max());

    /// <summary>Linear between the two nearest values.</summary>
    public static double Percentile(IReadOnlyList<double> values, double percent)
    {
        var sorted = values.Order().ToArray();
        var place = percent / 100 * (sorted.Length - 1);
        var low = (int)place;
        return sorted[low] + ((place - low) * (sorted[Math.Min(low + 1, sorted.Length - 1)] - sorted[low]));
    }

    /// <summary>Four significant digits or whole numbers.</summary>
    public static string Number(double value) => value.ToString(Math.Abs(value) >= 1000 ? "F0" : "G4", CultureInfo.InvariantCulture);
}
