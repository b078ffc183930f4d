using Spectre.Console;
using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Reporting;

/// <summary>The table of one load: a column per arm and, when two are compared, one for their ratio.</summary>
internal sealed class PointTable
{
    private readonly PointReport _point;
    private readonly ComparisonReport? _comparison;
    private readonly Table _table = new Table().RoundedBorder();

    private PointTable(PointReport point)
    {
        _point = point;
        _comparison = point.Comparisons.Count == 1 ? point.Comparisons[0] : null;
        _table.AddColumn("");
        var columns = point.Arms.Select(arm => arm.Arm).Concat(_comparison is null ? [] : [$"{_comparison.Baseline}/{_comparison.Arm}"]);
        foreach (var name in columns)
        {
            _table.AddColumn(new TableColumn(new Text(name)).RightAligned());
        }
    }

    public static Table Build(PointReport point)
    {
        var table = new PointTable(point);
        table.AddRequests();
        table.AddTokens();
        table.AddTimes();
        table.AddRates();
        table.AddMemory();
        return table._table;
    }

    private void AddRequests()
    {
        Row("requests attempted", arm => Figures.Count(arm.Requests.Attempted));
        Row("succeeded / refused / failed / timed out", arm =>
            $"{arm.Requests.Succeeded} / {arm.Requests.Refused} / {arm.Requests.Failed} / {arm.Requests.TimedOut}");
        Row("ended by the token limit", arm => Figures.Count(arm.Requests.EndedByLength));
        Row("accuracy", arm => Figures.Share(arm.Accuracy));
        if (_comparison is { Accuracy: var accuracy } comparison)
        {
            var difference = accuracy.ArmMinusBaseline;
            var value = difference.Mean is { } mean
                ? $"{Figures.Signed(100 * mean)} points{Figures.Brackets(100 * difference.Low, 100 * difference.High)}"
                : Figures.Unknown;
            var p = accuracy.Pairs == 0 ? "" : $"McNemar p {accuracy.McnemarP.ToString("0.000", System.Globalization.CultureInfo.InvariantCulture)}";
            _table.AddRow(new Text($"  {comparison.Arm} - {comparison.Baseline}"), new Text(""), new Text(value), new Text(p));
        }
    }

    private void AddTokens()
    {
        Section("tokens per request (mean)");
        Row("  latent", arm => Figures.Number(arm.Tokens.Latent));
        Row("  control", arm => Figures.Number(arm.Tokens.Control));
        Row("  reasoning text", arm => Figures.Number(arm.Tokens.ReasoningText));
        Row("  answer", arm => Figures.Number(arm.Tokens.Answer));
        Row("  completion", arm => Figures.Number(arm.Tokens.Completion), RatioBuilder.CompletionTokens);
        Row("  prompt (cached)", arm => $"{Figures.Number(arm.Tokens.Prompt)} ({Figures.Number(arm.Tokens.Cached)})");
    }

    private void AddTimes()
    {
        Section("time (ms)");
        Row("  to first token (TTFT), mean", arm => Figures.Number(arm.TimeToFirstTokenMs.Mean), RatioBuilder.TimeToFirstToken);
        Row("    p50 / p90 / p99", arm => Percentiles(arm.TimeToFirstTokenMs));
        Row("  to first answer token, mean", arm => Figures.Number(arm.TimeToFirstAnswerTokenMs.Mean), RatioBuilder.TimeToFirstAnswerToken);
        Row("    p50 / p90 / p99", arm => Percentiles(arm.TimeToFirstAnswerTokenMs));
        Row("  inter-token (ITL), mean", arm => Figures.Number(arm.InterTokenTimeMs.Mean), RatioBuilder.InterTokenTime);
        Row("    p50 / p90 / p99", arm => Percentiles(arm.InterTokenTimeMs));
        Row("  per output token (TPOT), mean", arm => Figures.Number(arm.TimePerOutputTokenMs.Mean), RatioBuilder.TimePerOutputToken);
        Row("  end to end, mean", arm => Figures.Number(arm.EndToEndMs.Mean), RatioBuilder.EndToEnd);
        Row("  end to end, p50", arm => Figures.Number(arm.EndToEndMs.P50), RatioBuilder.EndToEndP50);
        Row("  end to end, p90", arm => Figures.Number(arm.EndToEndMs.P90), RatioBuilder.EndToEndP90);
        Row("  end to end, p99", arm => Figures.Number(arm.EndToEndMs.P99), RatioBuilder.EndToEndP99);
    }

    private void AddRates()
    {
        Section("throughput");
        Row("  requests/s", arm => Figures.Number(arm.Throughput.RequestsPerSecond), RatioBuilder.RequestsPerSecond);
        Row("  tokens/s", arm => Figures.Number(arm.Throughput.TokensPerSecond), RatioBuilder.TokensPerSecond);
        if (_point.Arms.Any(arm => arm.SteadyState is not null))
        {
            Row("  steady state: requests/s, tokens/s", arm => arm.SteadyState is { } steady
                ? $"{Figures.Number(steady.RequestsPerSecond)}, {Figures.Number(steady.TokensPerSecond)}"
                : Figures.Unknown);
        }

        if (_point.Arms.Any(arm => arm.Goodput is not null))
        {
            Row("  goodput: share, requests/s", arm => arm.Goodput is { } goodput
                ? $"{Figures.Percent(goodput.Share)} %, {Figures.Number(goodput.RequestsPerSecond)}"
                : Figures.Unknown);
        }

        Row("  requests in flight, mean / max", arm => $"{Figures.Number(arm.InFlight.Mean)} / {arm.InFlight.Max}");
    }

    private void AddMemory()
    {
        Section("KV cache (KiB)");
        Row("  per request, mean", arm => Figures.KiB(arm.KvCache.BytesPerRequest.Mean), RatioBuilder.KvBytesPerRequest);
        Row("  in use on the server, mean / max", arm => $"{Figures.KiB(arm.KvCache.BytesInUse.Mean)} / {Figures.KiB(arm.KvCache.BytesInUse.Max)}");
        if (_point.Arms.Any(arm => arm.Memory.ResidentBytes.N > 0))
        {
            Row("server resident (MiB), mean / max", arm => $"{Figures.MiB(arm.Memory.ResidentBytes.Mean)} / {Figures.MiB(arm.Memory.ResidentBytes.Max)}");
        }

        if (_point.Arms.Any(arm => arm.Memory.GpuBytes.N > 0))
        {
            Row("GPU memory (MiB), mean / max", arm => $"{Figures.MiB(arm.Memory.GpuBytes.Mean)} / {Figures.MiB(arm.Memory.GpuBytes.Max)}");
        }
    }

    private static string Percentiles(Distribution times) => $"{Figures.Number(times.P50)} / {Figures.Number(times.P90)} / {Figures.Number(times.P99)}";

    private void Section(string name) => _table.AddRow(new Text(name, new Style(decoration: Decoration.Bold)));

    private void Row(string name, Func<ArmReport, string> value, string? metric = null)
    {
        var cells = new List<Text> { new(name) };
        cells.AddRange(_point.Arms.Select(arm => new Text(value(arm))));
        if (_comparison is not null)
        {
            cells.Add(new Text(metric is null ? "" : Figures.Ratio(_comparison.Ratio(metric))));
        }

        _table.AddRow(cells);
    }
}
