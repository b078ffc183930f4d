using System.Globalization;
using Spectre.Console;
using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Reporting;

/// <summary>Prints the report as tables: both modes side by side, their ratios, savings, and everything that went wrong.</summary>
public static class ConsoleReport
{
    private const string Unknown = "-";

    // The rest is in report.json.
    private const int MaxProblemRows = 10;

    /// <summary>Prints the report. Messages and names come from outside: only Text, never markup, is made of them.</summary>
    public static void Print(IAnsiConsole console, LoadReport report)
    {
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(report);
        var run = report.Run;
        console.Write(new Text($"{run.Model} at {run.Url}, {run.Dataset.Name}: {run.Prompts} prompts, concurrency {run.Concurrency}\n"));
        console.Write(CompareTable(report));
        console.Write(new Text("text/latent: above 1, text mode takes more. Brackets: 95 % intervals (Wilson for accuracy, paired bootstrap for ratios).\n"));
        PrintSavings(console, report.Savings);
        PrintProblems(console, report);
        foreach (var note in report.Notes)
        {
            console.Write(new Text($"note: {note}\n"));
        }
    }

    private static Table CompareTable(LoadReport report)
    {
        var (text, latent) = (report.Modes.Text, report.Modes.Latent);
        var table = new Table().RoundedBorder();
        table.AddColumn("");
        foreach (var name in new[] { "text", "latent", "text/latent" })
        {
            table.AddColumn(new TableColumn(name).RightAligned());
        }

        void Row(string name, Func<ModeReport, string> value, string? metric = null) =>
            table.AddRow(new Text(name), new Text(value(text)), new Text(value(latent)), new Text(metric is null ? "" : Ratio(report.Ratios, metric)));
        void Section(string name) => table.AddRow(new Text(name, new Style(decoration: Decoration.Bold)));

        Row("requests attempted", mode => Count(mode.Requests.Attempted));
        Row("succeeded / refused / failed / timed out", mode => Outcomes(mode.Requests));
        Row("ended by the token limit", mode => Count(mode.Requests.EndedByLength));
        Row("accuracy", mode => Share(mode.Accuracy));
        AddDifference(table, report.Accuracy);
        Section("tokens per request (mean)");
        Row("  latent", mode => Number(mode.Tokens.Latent));
        Row("  control", mode => Number(mode.Tokens.Control));
        Row("  reasoning text", mode => Number(mode.Tokens.ReasoningText));
        Row("  answer", mode => Number(mode.Tokens.Answer));
        Row("  completion", mode => Number(mode.Tokens.Completion), RatioBuilder.CompletionTokens);
        Row("  prompt (cached)", mode => $"{Number(mode.Tokens.Prompt)} ({Number(mode.Tokens.Cached)})");
        Section("time (ms)");
        Row("  to first token (TTFT), mean", mode => Number(mode.TimeToFirstTokenMs.Mean), RatioBuilder.TimeToFirstToken);
        Row("  to first answer token, mean", mode => Number(mode.TimeToFirstAnswerTokenMs.Mean), RatioBuilder.TimeToFirstAnswerToken);
        Row("  inter-token (ITL), mean", mode => Number(mode.InterTokenTimeMs.Mean), RatioBuilder.InterTokenTime);
        Row("  inter-token p50 / p95", mode => $"{Number(mode.InterTokenTimeMs.P50)} / {Number(mode.InterTokenTimeMs.P95)}");
        Row("  per output token (TPOT), mean", mode => Number(mode.TimePerOutputTokenMs.Mean), RatioBuilder.TimePerOutputToken);
        Row("  end to end, mean", mode => Number(mode.EndToEndMs.Mean), RatioBuilder.EndToEnd);
        Row("  end to end, p50", mode => Number(mode.EndToEndMs.P50), RatioBuilder.EndToEndP50);
        Row("  end to end, p90", mode => Number(mode.EndToEndMs.P90), RatioBuilder.EndToEndP90);
        Row("  end to end, p99", mode => Number(mode.EndToEndMs.P99), RatioBuilder.EndToEndP99);
        Section("throughput");
        Row("  requests/s", mode => Number(mode.Throughput.RequestsPerSecond), RatioBuilder.RequestsPerSecond);
        Row("  tokens/s", mode => Number(mode.Throughput.TokensPerSecond), RatioBuilder.TokensPerSecond);
        Section("KV cache (KiB)");
        Row("  per request, mean", mode => KiB(mode.KvCache.BytesPerRequest.Mean), RatioBuilder.KvBytesPerRequest);
        Row("  in use on the server, mean / max", mode => $"{KiB(mode.KvCache.BytesInUse.Mean)} / {KiB(mode.KvCache.BytesInUse.Max)}");
        return table;
    }

    private static void AddDifference(Table table, AccuracyReport accuracy)
    {
        var difference = accuracy.LatentMinusText;
        var value = difference.Mean is { } mean ? $"{Signed(100 * mean)} points{Brackets(100 * difference.Low, 100 * difference.High)}" : Unknown;
        var p = accuracy.Pairs == 0 ? "" : $"McNemar p {accuracy.McnemarP.ToString("0.000", CultureInfo.InvariantCulture)}";
        table.AddRow(new Text("  latent - text"), new Text(""), new Text(value), new Text(p));
    }

    private static string Outcomes(RequestsReport requests) => $"{requests.Succeeded} / {requests.Refused} / {requests.Failed} / {requests.TimedOut}";

    private static void PrintSavings(IAnsiConsole console, SavingsReport savings)
    {
        if (savings.Pairs == 0)
        {
            return;
        }

        string Estimate(MeanEstimate estimate, double scale) => Number(scale * estimate.Mean) + Brackets(scale * estimate.Low, scale * estimate.High);
        console.Write(new Text(
            $"saved per prompt ({savings.Basis}, {savings.Pairs} pairs): {Estimate(savings.TokensSaved, 1)} tokens = {Estimate(savings.FractionSaved, 100)} %, "
            + $"{Estimate(savings.SecondsSaved, 1000)} ms, {Estimate(savings.KvBytesSaved, 1.0 / 1024)} KiB of KV\n"));
    }

    private static void PrintProblems(IAnsiConsole console, LoadReport report)
    {
        if (report.Failures.Count > 0)
        {
            var table = new Table().RoundedBorder().Title("requests that did not succeed");
            table.AddColumns("mode", "how", "count", "message");
            foreach (var failure in report.Failures.Take(MaxProblemRows))
            {
                table.AddRow(new Text(failure.Mode), new Text(failure.Kind), new Text(Count(failure.Count)), new Text(failure.Message));
            }

            console.Write(table);
        }

        foreach (var problem in report.UsageProblems.Take(MaxProblemRows))
        {
            console.Write(new Text($"prompt {problem.Prompt}, {problem.Mode}: {problem.Problem}\n"));
        }
    }

    private static string Ratio(IReadOnlyList<RatioReport> ratios, string metric)
    {
        var ratio = ratios.Single(ratio => ratio.Metric == metric);
        return ratio.Ratio is null ? Unknown : Number(ratio.Ratio) + Brackets(ratio.Low, ratio.High);
    }

    private static string Share(Proportion share) =>
        share.Value is { } value ? $"{Percent(value)} % [{Percent(share.Low)}, {Percent(share.High)}]" : Unknown;

    private static string Percent(double? share) => (100 * share)?.ToString("0.0", CultureInfo.InvariantCulture) ?? Unknown;

    private static string Brackets(double? low, double? high) => low is null || high is null ? "" : $" [{Number(low)}, {Number(high)}]";

    private static string KiB(double? bytes) => Number(bytes / 1024);

    private static string Count(int count) => count.ToString(CultureInfo.InvariantCulture);

    private static string Signed(double value) => value.ToString("+0.0;-0.0;0.0", CultureInfo.InvariantCulture);

    // Three significant digits at least, no exponents.
    private static string Number(double? value) => value is { } known
        ? known.ToString(Math.Abs(known) switch { >= 100 => "#,0", >= 10 => "0.0", _ => "0.00" }, CultureInfo.InvariantCulture)
        : Unknown;
}
