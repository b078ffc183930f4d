using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Tessera.Bench.Timing;

namespace Tessera.Bench.EngineRuns;

/// <summary>Times between the tokens of one response while another request's long prompt is run, against those at the same positions with nobody else.</summary>
internal static class InterTokenRun
{
    private const int PromptTokens = 100;
    private const int Tokens = 1600;
    private const int LongPrompt = 2000;
    private const int Before = 50;

    /// <summary>Adds the rows.</summary>
    public static async Task AddAsync(Table table, EngineLoad load, int rounds)
    {
        var (alone, busy, firstTokens) = (new List<double[]>(), new List<double[]>(), new List<double>());
        for (var round = 0; round <= rounds; round++)
        {
            var (disturbed, firstToken) = await UnderPrefillAsync(load);
            var quiet = Gaps(await EngineLoad.ArrivalsAsync(load.Submit(PromptTokens, Tokens))).GetRange(Before - 1, disturbed.Count);
            if (round > 0)
            {
                alone.Add(Quantiles(quiet));
                busy.Add(Quantiles(disturbed));
                firstTokens.Add(firstToken * 1e3);
            }
        }

        string[] names = ["p50", "p95", "p99", "largest"];
        for (var i = 0; i < names.Length; i++)
        {
            var (a, b) = (Summary.Of([.. alone.Select(x => x[i])]), Summary.Of([.. busy.Select(x => x[i])]));
            table.AddRow($"inter-token {names[i]} alone, ms", a.Median, a.Range, "1.00");
            table.AddRow(
                $"inter-token {names[i]} while another request's {LongPrompt} tokens are prefilled, ms", b.Median, b.Range,
                (b.MedianValue / a.MedianValue).ToString("F2", CultureInfo.InvariantCulture));
        }

        var first = Summary.Of(firstTokens);
        table.AddRow($"first token of those {LongPrompt}, ms", first.Median, first.Range, "");
    }

    // The gaps of one response between the submission of a long prompt and its first token, and how long that took.
    private static async Task<(List<double> Gaps, double FirstToken)> UnderPrefillAsync(EngineLoad load)
    {
        Task<double>? longPrompt = null;
        var to = int.MaxValue;
        var arrivals = await EngineLoad.ArrivalsAsync(load.Submit(PromptTokens, Tokens), count =>
        {
            if (count == Before)
            {
                longPrompt = FirstTokenAsync(load);
            }
            else if (longPrompt is { IsCompleted: true } && to == int.MaxValue)
            {
                to = count;
            }
        });
        return (Gaps(arrivals[(Before - 1)..Math.Min(to, arrivals.Count)]), await longPrompt!);
    }

    private static async Task<double> FirstTokenAsync(EngineLoad load)
    {
        var start = Stopwatch.GetTimestamp();
        await EngineLoad.ArrivalsAsync(load.Submit(LongPrompt, 1));
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double[] Quantiles(List<double> gaps) =>
        [Summary.Percentile(gaps, 50) * 1e3, Summary.Percentile(gaps, 95) * 1e3, Summary.Percentile(gaps, 99) * 1e3, gaps.Max() * 1e3];

    private static List<double> Gaps(List<double> arrivals) => [.. arrivals.Zip(arrivals.Skip(1), (earlier, later) => later - earlier)];
}
