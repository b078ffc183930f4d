using System.Globalization;
using Spectre.Console;

namespace Tessera.LoadTests.Reporting;

/// <summary>Prints the report as tables: the arms side by side, their ratios, savings, and everything that went wrong.</summary>
public static class ConsoleReport
{
    // The rest is in report.json.
    private const int MaxProblemRows = 10;

    /// <summary>Prints the report. Messages and names come from outside: only Text, never markup, is made of them.</summary>
    public static void Print(IAnsiConsole console, LoadReport report)
    {
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(report);
        var run = report.Run;
        foreach (var point in report.Points)
        {
            console.Write(new Text($"{run.Model} at {run.Grpc ?? run.Url}, {run.Dataset.Name}: {run.Prompts} prompts, {Describe(point.Load)}\n"));
            console.Write(PointTable.Build(point));
            if (point.Comparisons.Count == 1)
            {
                var names = $"{point.Comparisons[0].Baseline}/{point.Comparisons[0].Arm}";
                console.Write(new Text($"{names}: above 1, text mode takes more. Brackets: 95 % intervals (Wilson for accuracy, paired bootstrap for ratios).\n"));
                PrintSavings(console, point.Comparisons[0].Savings);
            }
            else if (point.Comparisons.Count > 1)
            {
                console.Write(SweepTables.Dial(point));
            }
        }

        if (report.Points.Count > 1)
        {
            console.Write(SweepTables.Loads(report));
        }

        PrintProblems(console, report);
        foreach (var note in report.Notes)
        {
            console.Write(new Text($"note: {note}\n"));
        }
    }

    /// <summary>Prints what became of the figures that were not to get worse.</summary>
    public static void PrintRegressions(IAnsiConsole console, IReadOnlyList<Regression> regressions)
    {
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(regressions);
        foreach (var entry in regressions)
        {
            var unit = entry.Rule.Unit == MarginUnit.Percent ? "%" : "pt";
            var margin = entry.Rule.Margin.ToString("+0.###;-0.###", CultureInfo.InvariantCulture) + unit;
            var (before, now) = (Value(entry.Rule, entry.Before), Value(entry.Rule, entry.Now));
            console.Write(new Text($"{(entry.Fails ? "WORSE" : "ok")}: {entry.Rule.Metric} ({entry.Where}): {before} -> {now}, allowed {margin}\n"));
        }
    }

    /// <summary>A load in a few words.</summary>
    public static string Describe(LoadShapeReport load)
    {
        ArgumentNullException.ThrowIfNull(load);
        if (load.RequestsPerSecond is not { } rate)
        {
            return $"concurrency {load.Concurrency}";
        }

        var from = load.RampFrom is { } ramp ? $"{Figures.Plain(ramp)} to " : "";
        var burstiness = load.Burstiness is { } shape and not 1 ? $", burstiness {Figures.Plain(shape)}" : "";
        return $"{from}{Figures.Plain(rate)} requests/s{burstiness}";
    }

    private static string Value(FailRule rule, double? value) =>
        rule.Unit == MarginUnit.Points ? Figures.Percent(value) + " %" : Figures.Number(value);

    private static void PrintSavings(IAnsiConsole console, SavingsReport savings)
    {
        if (savings.Pairs == 0)
        {
            return;
        }

        console.Write(new Text(
            $"saved per prompt ({savings.Basis}, {savings.Pairs} pairs): {Figures.Estimate(savings.TokensSaved, 1)} tokens = "
            + $"{Figures.Estimate(savings.FractionSaved, 100)} %, {Figures.Estimate(savings.SecondsSaved, 1000)} ms, "
            + $"{Figures.Estimate(savings.KvBytesSaved, 1.0 / 1024)} KiB of KV\n"));
    }

    private static void PrintProblems(IAnsiConsole console, LoadReport report)
    {
        if (report.Failures.Count > 0)
        {
            var table = new Table().RoundedBorder().Title("requests that did not succeed");
            table.AddColumns("mode", "how", "count", "message");
            foreach (var failure in report.Failures.Take(MaxProblemRows))
            {
                table.AddRow(new Text(failure.Arm), new Text(failure.Kind), new Text(Figures.Count(failure.Count)), new Text(failure.Message));
            }

            console.Write(table);
        }

        foreach (var problem in report.UsageProblems.Take(MaxProblemRows))
        {
            console.Write(new Text($"prompt {problem.Prompt}, {problem.Arm}: {problem.Problem}\n"));
        }
    }
}
