using Spectre.Console;
using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Commands;

/// <summary><c>tessera-load compare</c>: check everything, warm up, measure, report.</summary>
public static class CompareCommand
{
    /// <summary>Runs the command; returns the exit code.</summary>
    /// <param name="options">Valid arguments.</param>
    /// <param name="console">For progress and tables.</param>
    /// <param name="error">For errors, one line each.</param>
    /// <param name="clock">Clock of all measurements.</param>
    /// <param name="interruption">Ends the run; what ran is still reported.</param>
    public static async Task<int> RunAsync(CompareOptions options, IAnsiConsole console, TextWriter error, TimeProvider clock, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(error);
        try
        {
            using var target = new ChatCompletionsTarget(options.Url, options.Concurrency, options.Timeout, clock);
            return await RunAsync(options, target, console, clock, interruption).ConfigureAwait(false);
        }
        catch (LoadTestException e)
        {
            await error.WriteLineAsync($"tessera-load: {e.Message}").ConfigureAwait(false);
            return ExitCodes.CannotRun;
        }
        catch (OperationCanceledException) when (interruption.IsCancellationRequested)
        {
            await error.WriteLineAsync("tessera-load: interrupted before anything was measured").ConfigureAwait(false);
            return ExitCodes.Interrupted;
        }
    }

    /// <summary>Runs the command against a given server; errors are exceptions. Returns the exit code.</summary>
    /// <exception cref="LoadTestException">It cannot run.</exception>
    public static async Task<int> RunAsync(
        CompareOptions options, IGenerationTarget target, IAnsiConsole console, TimeProvider clock, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(clock);
        var dataset = DatasetReader.Read(options.Dataset);
        var notes = new List<string>();
        var asked = options.Requests ?? dataset.Cases.Count;
        if (asked > dataset.Cases.Count)
        {
            notes.Add(
                $"--requests {asked}: the dataset has {dataset.Cases.Count} prompts; all of them run once. "
                + "Prompts are not repeated: that would measure caches and narrow the intervals");
        }

        var cases = dataset.Choose(asked, options.Seed, out var rest);
        var warmup = ChooseWarmup(options.Warmup ?? options.Concurrency, cases, rest, notes);
        ReportFile.Prepare(options.Out);
        var facts = await target.GetFactsAsync(options.Model, interruption).ConfigureAwait(false);

        var (result, startedAt, duration) =
            await MeasureAsync(options, target, facts, dataset, cases, warmup, console, clock, interruption).ConfigureAwait(false);
        var report = ReportBuilder.Build(Describe(options, facts, dataset, asked, cases.Count, warmup.Count), facts, result, startedAt, duration, notes);
        var path = ReportFile.Write(options.Out, report);
        ConsoleReport.Print(console, report);
        console.Write(new Text($"report: {path}\n"));
        return FindExitCode(result.End, report);
    }

    private static async Task<(CompareResult Result, DateTimeOffset StartedAt, TimeSpan Duration)> MeasureAsync(
        CompareOptions options, IGenerationTarget target, ServerFacts facts, PromptDataset dataset, IReadOnlyList<PromptCase> cases,
        IReadOnlyList<PromptCase> warmup, IAnsiConsole console, TimeProvider clock, CancellationToken interruption)
    {
        var settings = new CompareSettings(options.Concurrency, facts.Model, options.LatentBudget, options.MaxTokens);
        var columns = new ProgressColumn[] { new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn() };
        return await console.Progress().Columns(columns).StartAsync(async progress =>
        {
            var bars = new Dictionary<ReasoningMode, ProgressTask>
            {
                [ReasoningMode.Text] = progress.AddTask("text", maxValue: cases.Count),
                [ReasoningMode.Latent] = progress.AddTask("latent", maxValue: cases.Count),
            };
            var runner = new CompareRunner(target, settings, clock, mode => bars[mode].Increment(1));
            await runner.WarmUpAsync(warmup, interruption).ConfigureAwait(false);
            interruption.ThrowIfCancellationRequested();
            var startedAt = clock.GetUtcNow();
            var start = clock.GetTimestamp();
            var result = await runner.RunAsync(dataset, cases, interruption).ConfigureAwait(false);
            return (result, startedAt, clock.GetElapsedTime(start));
        }).ConfigureAwait(false);
    }

    // Prompts that are not measured come first: a measured prompt that was warmed up would find itself in the prefix cache.
    private static IReadOnlyList<PromptCase> ChooseWarmup(int count, IReadOnlyList<PromptCase> cases, IReadOnlyList<PromptCase> rest, List<string> notes)
    {
        if (count > rest.Count)
        {
            notes.Add(
                $"warm-up: {Math.Min(count - rest.Count, cases.Count)} of the measured prompts were warmed up too, "
                + $"because the dataset has only {rest.Count} others");
        }

        return [.. rest.Concat(cases).Take(count)];
    }

    private static RunReport Describe(CompareOptions options, ServerFacts facts, PromptDataset dataset, int asked, int prompts, int warmup) => new(
        options.Url.ToString(),
        facts.Model,
        new DatasetReport(dataset.Name, dataset.Sha256, ReportBuilder.Name(dataset.Layout), dataset.Cases.Count, ReportBuilder.Name(dataset.AnswerRule)),
        asked,
        prompts,
        options.Concurrency,
        ComparePlan.BlockSize(prompts, options.Concurrency),
        warmup,
        options.LatentBudget,
        options.MaxTokens,
        options.Timeout.TotalSeconds,
        options.Seed,
        "greedy");

    private static int FindExitCode(CompareEnd end, LoadReport report) => end switch
    {
        CompareEnd.Interrupted => ExitCodes.Interrupted,
        CompareEnd.ServerUnreachable => ExitCodes.Flawed,
        _ => report.Failures.Count == 0 && report.UsageProblems.Count == 0 ? ExitCodes.Complete : ExitCodes.Flawed,
    };
}
