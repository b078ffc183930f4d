using System.Globalization;
using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Reporting;

/// <summary>Figures as text for tables.</summary>
internal static class Figures
{
    public const string Unknown = "-";

    /// <summary>Three significant digits at least, no exponents.</summary>
    public static string Number(double? value) => value is { } known
        ? known.ToString(Math.Abs(known) switch { >= 100 => "#,0", >= 10 => "0.0", _ => "0.00" }, CultureInfo.InvariantCulture)
        : Unknown;

    public static string Plain(double value) => value.ToString("0.###", CultureInfo.InvariantCulture);

    public static string Count(int count) => count.ToString(CultureInfo.InvariantCulture);

    public static string Percent(double? share) => (100 * share)?.ToString("0.0", CultureInfo.InvariantCulture) ?? Unknown;

    public static string Share(Proportion share) =>
        share.Value is { } value ? $"{Percent(value)} % [{Percent(share.Low)}, {Percent(share.High)}]" : Unknown;

    public static string Signed(double value) => value.ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);

    public static string Brackets(double? low, double? high) => low is null || high is null ? "" : $" [{Number(low)}, {Number(high)}]";

    public static string Ratio(RatioReport ratio) => ratio.Ratio is null ? Unknown : Number(ratio.Ratio) + Brackets(ratio.Low, ratio.High);

    public static string Estimate(MeanEstimate estimate, double scale) =>
        Number(scale * estimate.Mean) + Brackets(scale * estimate.Low, scale * estimate.High);

    public static string KiB(double? bytes) => Number(bytes / 1024);

    public static string MiB(double? bytes) => Number(bytes / (1024 * 1024));
}
