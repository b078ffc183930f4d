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
        var rows = PackageVerifier.Verify(package, reference);
        var table = new Table().Border(TableBorder.Minimal).AddColumns("Graph", "Run as", "Rows", "Max abs difference", "Limit", "");
        foreach (var row in rows)
        {
            table.AddRow(
                Markup.Escape(row.Graph),
                Markup.Escape(row.Check),
                row.RowCount.ToString(CultureInfo.InvariantCulture),
                Format(row.MaxDifference),
                Format(row.Limit),
                row.Passed ? "[green]pass[/]" : "[red]FAIL[/]");
        }

        console.Write(table);
        if (rows.FirstOrDefault(row => !row.Passed) is { } failed)
        {
            throw new VerificationException(failed);
        }

        console.WriteLine($"Verified: {rows.Count} comparisons within their limits.");
        return 0;
    }

    private static string Format(double value) => value.ToString("0.#e+0", CultureInfo.InvariantCulture);
}
