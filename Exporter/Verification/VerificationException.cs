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
                    $"{row.Graph}: {row.Check}: expected a difference of at most {row.Limit:0.#e+0}, found {row.MaxDifference:0.###e+0}"))
    {
    }
}
