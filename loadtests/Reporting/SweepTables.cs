using Spectre.Console;

namespace Tessera.LoadTests.Reporting;

/// <summary>Tables of a sweep: along the dial at one load, and over loads.</summary>
internal static class SweepTables
{
    /// <summary>Each budget against text mode.</summary>
    public static Table Dial(PointReport point)
    {
        var table = Columns(
            "text against", "accuracy", "difference, points", "McNemar p", "tokens saved %", "tokens, ratio", "end to end, ratio", "KV per request, ratio");
        foreach (var comparison in point.Comparisons)
        {
            var difference = comparison.Accuracy.ArmMinusBaseline;
            table.AddRow(
                Cell(comparison.Arm),
                Cell(Figures.Share(point.FindArm(comparison.Arm)!.Accuracy)),
                Cell(Figures.Estimate(difference, 100)),
                Cell(comparison.Accuracy.McnemarP.ToString("0.000", System.Globalization.CultureInfo.InvariantCulture)),
                Cell(Figures.Estimate(comparison.Savings.FractionSaved, 100)),
                Cell(Figures.Ratio(comparison.Ratio(RatioBuilder.CompletionTokens))),
                Cell(Figures.Ratio(comparison.Ratio(RatioBuilder.EndToEnd))),
                Cell(Figures.Ratio(comparison.Ratio(RatioBuilder.KvBytesPerRequest))));
        }

        return table;
    }

    /// <summary>Each arm at each load.</summary>
    public static Table Loads(LoadReport report)
    {
        var table = Columns("load", "mode", "requests/s", "tokens/s", "TTFT p50", "TTFT p99", "end to end p50", "end to end p99", "not succeeded");
        foreach (var point in report.Points)
        {
            foreach (var arm in point.Arms)
            {
                table.AddRow(
                    Cell(ConsoleReport.Describe(point.Load)),
                    Cell(arm.Arm),
                    Cell(Figures.Number(arm.Throughput.RequestsPerSecond)),
                    Cell(Figures.Number(arm.Throughput.TokensPerSecond)),
                    Cell(Figures.Number(arm.TimeToFirstTokenMs.P50)),
                    Cell(Figures.Number(arm.TimeToFirstTokenMs.P99)),
                    Cell(Figures.Number(arm.EndToEndMs.P50)),
                    Cell(Figures.Number(arm.EndToEndMs.P99)),
                    Cell(Figures.Count(arm.Requests.Attempted - arm.Requests.Succeeded)));
            }
        }

        return table;
    }

    private static Table Columns(string first, params string[] others)
    {
        var table = new Table().RoundedBorder();
        table.AddColumn(first);
        foreach (var name in others)
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        return table;
    }

    private static Text Cell(string text) => new(text);
}
