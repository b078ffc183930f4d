using System.Globalization;
using Spectre.Console;
using Tessera.Exporter.Verification;

namespace Tessera.Exporter.Commands;

/// <summary><c>tessera-export verify</c>.</summary>
internal static class VerifyCommand
{
    /// <summary>Verifies and shows every comparison.</summary>
    /// <exception cref="VerificationException">A comparison failed.</exception>
    public static int Run(string package, string? reference, IAnsiConsole console)
    {
        var report = PackageVerifier.Verify(package, reference);
        var table = new Table().Border(TableBorder.Minimal).AddColumns("Graph", "Run as", "Rows", "Measure", "Difference", "Limit", "");
        foreach (var row in report.Rows)
        {
            table.AddRow(
                Markup.Escape(row.Graph),
                Markup.Escape(row.Check),
                row.RowCount.ToString(CultureInfo.InvariantCulture),
                row.Tolerance.IsRelative ? "relative rms" : "max abs",
                Format(row.Difference),
                Format(row.Tolerance.Limit),
                row.Passed ? "[green]pass[/]" : "[red]FAIL[/]");
        }

        console.Write(table);
        console.WriteLine("Files, hashes, containment and graphs: as the manifest says.");
        console.WriteLine($"Greedy sample: {Printable(report.Sample)}");
        if (report.Rows.FirstOrDefault(row => !row.Passed) is { } failed)
        {
            throw new VerificationException(failed);
        }

        console.WriteLine($"Verified: {report.Rows.Count} comparisons within their limits.");
        return 0;
    }

    private static string Format(double value) => value.ToString("0.#e+0", CultureInfo.InvariantCulture);

    private static string Printable(string text) => string.Concat(text.Select(character => char.IsControl(character) ? ' ' : character));
}
