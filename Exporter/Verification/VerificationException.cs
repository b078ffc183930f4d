using System.Globalization;

namespace Tessera.Exporter.Verification;

/// <summary>A package that does not compute what the trained model computes.</summary>
internal sealed class VerificationException : Exception
{
    /// <summary>Creates the error for the first comparison that failed.</summary>
    public VerificationException(VerificationRow row)
        : base(
            row.RowCount == 0
                ? $"{row.Graph}: {row.Check}: expected recorded rows to compare with, found none"
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{row.Graph}: {row.Check}: expected a {(row.Tolerance.IsRelative ? "relative error" : "difference")} of at most {row.Tolerance.Limit:0.#e+0}, found {row.Difference:0.###e+0}"))
    {
    }
}
