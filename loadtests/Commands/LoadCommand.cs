using Spectre.Console;
using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Datasets.Generators;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Commands;

/// <summary><c>tessera-load run</c> and <c>compare</c>: check everything, warm up, measure, report.</summary>
public static class LoadCommand
{
    // Of a generator, which has no end of its own.
    private const int DefaultGeneratedPrompts = 200;

    /// <summary>Runs the command; returns the exit code.</summary>
    /// <param name="options">Valid arguments.</param>
    /// <param name="console">For progress and tables.</param>
    /// <param name="error">For errors, one line each.</param>
    /// <param name="clock">Clock of all measurements.</param>
    /// <param name="interruption">Ends the run; what ran is still reported.</param>
    public static async Task<int> RunAsync(LoadOptions options, IAnsiConsole console, TextWriter error, TimeProvider clock, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(error);
        try
        {
            using var target = options.Target.Open(clock);
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
    public static async Task<int> RunAsync(LoadOptions options, IGenerationTarget target, IAnsiConsole console, TimeProvider clock, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(target);
        ArgumentNullException.ThrowIfNull(console);
        ArgumentNullException.ThrowIfNull(clock);
        var baseline = options.Baseline is { } path ? ReportFile.ReadBaseline(path) : null;
        var prompts = ChosenPrompts.Choose(options, ReadDataset(options));
        ReportFile.Prepare(options.Out);
        var facts = await target.GetFactsAsync(options.Model, interruption).ConfigureAwait(false);
        var arms = ChooseArms(options, facts);

        var (points, run) = await MeasureAsync(options, target, facts, arms, prompts, console, clock, interruption).ConfigureAwait(false);
        var report = ReportBuilder.Build(Describe(options, facts, prompts), facts, points, run);
        ConsoleReport.Print(console, report);
        await WriteAsync(options, report, console, interruption).ConfigureAwait(false);
        var regressions = baseline is null ? [] : Baseline.Compare(baseline, report, options.FailOn);
        ConsoleReport.PrintRegressions(console, regressions);
        return FindExitCode(report, regressions);
    }

    private static async Task WriteAsync(LoadOptions options, LoadReport report, IAnsiConsole console, CancellationToken interruption)
    {
        foreach (var path in ReportFile.Write(options.Out, report))
        {
            console.Write(new Text($"report: {path}\n"));
        }

        // Charts cost seconds: who interrupted does not wait for them.
        if (options.WritesPng && !interruption.IsCancellationRequested)
        {
            var charts = await ChartImages.WriteAsync(options.Out, report, ChartImages.FindBrowser(), interruption).ConfigureAwait(false);
            console.Write(new Text($"charts: {charts}\n"));
        }
    }

    private static PromptDataset ReadDataset(LoadOptions options)
    {
        var dataset = ProblemGenerator.IsBuiltIn(options.Dataset)
            ? ProblemGenerator.Generate(options.Dataset, (options.Requests ?? DefaultGeneratedPrompts) + options.WarmupCount, options.Seed)
            : DatasetReader.Read(options.Dataset);
        return options.AnswerRule is { } rule ? dataset with { AnswerRule = rule } : dataset;
    }

    private static IReadOnlyList<Arm> ChooseArms(LoadOptions options, ServerFacts facts)
    {
        if (options.IsComparison)
        {
            return facts.HasLatents
                ? Arm.Dial(options.LatentBudgets)
                : throw new LoadTestException(
                    $"{options.Url}: no /info: not a Tessera server, so there is no latent mode to compare; use tessera-load run");
        }

        var mode = options.Mode ?? (facts.HasLatents ? ReasoningMode.Auto : ReasoningMode.Plain);
        return [Arm.Of(mode, options.LatentBudgets[0])];
    }

    private static async Task<(IReadOnlyList<MeasuredPoint> Points, MeasuredRun Run)> MeasureAsync(
        LoadOptions options, IGenerationTarget target, ServerFacts facts, IReadOnlyList<Arm> arms, ChosenPrompts prompts, IAnsiConsole console, TimeProvider clock,
        CancellationToken interruption)
    {
        var points = new List<MeasuredPoint>();

        // New in every run: an earlier run of the same prompts must not be found in the server's cache either.
        var salt = $"load-{Guid.NewGuid():N}";
        var startedAt = default(DateTimeOffset);
        var duration = TimeSpan.Zero;
        var processorTime = TimeSpan.Zero;
        await RunProgress.ShowAsync(console, clock, arms, options.Points, prompts.Measured.Count, async progress =>
        {
            var start = 0L;
            foreach (var (arrivals, index) in options.Points.Select((point, i) => (point, i)))
            {
                var settings = new CompareSettings(arms, arrivals, facts.Model, options.MaxTokens, options.Seed)
                {
                    SaltPrefix = options.SharesPrefixCache ? null : $"{salt}-{index}",
                };
                var runner = new CompareRunner(target, settings, clock, (arm, outcome) => progress.Take(index, arm, outcome));
                if (index == 0)
                {
                    await runner.WarmUpAsync(prompts.WarmUp, interruption).ConfigureAwait(false);
                    interruption.ThrowIfCancellationRequested();
                    (startedAt, start, processorTime) = (clock.GetUtcNow(), clock.GetTimestamp(), Environment.CpuUsage.TotalTime);
                }

                var result = await runner.RunAsync(prompts.Dataset, prompts.Measured, interruption).ConfigureAwait(false);
                points.Add(new MeasuredPoint(arrivals, runner.BlockSize(prompts.Measured.Count), result));
                if (result.End != CompareEnd.Completed)
                {
                    break;
                }
            }

            (duration, processorTime) = (clock.GetElapsedTime(start), Environment.CpuUsage.TotalTime - processorTime);
        }).ConfigureAwait(false);
        return (points, new MeasuredRun(
            options.IsComparison ? "compare" : "run", startedAt, duration, processorTime, clock.TimestampFrequency, prompts.Notes));
    }

    private static RunReport Describe(LoadOptions options, ServerFacts facts, ChosenPrompts prompts)
    {
        var dataset = prompts.Dataset;
        return new RunReport(
            options.Url.ToString(),
            options.Grpc?.ToString(),
            facts.Model,
            new DatasetReport(dataset.Name, dataset.Sha256, ReportBuilder.Name(dataset.Layout), dataset.Cases.Count, ReportBuilder.Name(dataset.AnswerRule)),
            prompts.Asked,
            prompts.Measured.Count,
            prompts.WarmUp.Count,
            options.MaxTokens,
            options.Timeout.TotalSeconds,
            options.Seed,
            "greedy",
            options.SharesPrefixCache ? "shared" : "isolated",
            options.Objectives);
    }

    private static int FindExitCode(LoadReport report, IReadOnlyList<Regression> regressions) => report.Ended switch
    {
        "interrupted" => ExitCodes.Interrupted,
        "completed" when report.Failures.Count == 0 && report.UsageProblems.Count == 0 =>
            regressions.Any(regression => regression.Fails) ? ExitCodes.Regressed : ExitCodes.Complete,
        _ => ExitCodes.Flawed,
    };
}
