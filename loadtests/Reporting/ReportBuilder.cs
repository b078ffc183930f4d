using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>What was measured at one load.</summary>
/// <param name="Arrivals">When requests were sent.</param>
/// <param name="BlockPrompts">Prompts per block.</param>
/// <param name="Result">What was measured.</param>
public sealed record MeasuredPoint(ArrivalSettings Arrivals, int BlockPrompts, CompareResult Result);

/// <summary>Everything around the points.</summary>
/// <param name="Command">run or compare.</param>
/// <param name="StartedAt">Start of the measurement.</param>
/// <param name="Duration">Length of the measurement.</param>
/// <param name="CpuTime">Processor time of this tool during the measurement.</param>
/// <param name="TicksPerSecond">Frequency of the clock's timestamps.</param>
/// <param name="Notes">What was already noticed before the run.</param>
public sealed record MeasuredRun(
    string Command, DateTimeOffset StartedAt, TimeSpan Duration, TimeSpan CpuTime, long TicksPerSecond, IReadOnlyList<string> Notes);

/// <summary>Turns what was measured into the report; pure but for the tool's own version.</summary>
public static class ReportBuilder
{
    /// <summary>Builds the report.</summary>
    /// <param name="run">What was asked.</param>
    /// <param name="facts">What the server said of itself.</param>
    /// <param name="points">What was measured.</param>
    /// <param name="measurement">Everything around it.</param>
    public static LoadReport Build(RunReport run, ServerFacts facts, IReadOnlyList<MeasuredPoint> points, MeasuredRun measurement)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(facts);
        ArgumentNullException.ThrowIfNull(points);
        ArgumentNullException.ThrowIfNull(measurement);
        var reports = points.Select(point => BuildPoint(point, run, facts, measurement.TicksPerSecond)).ToList();
        var usageProblems = Requests(points)
            .Where(entry => entry.Request.Outcome.UsageProblem is not null)
            .Select(entry => new UsageProblemReport(entry.Arm, entry.Prompt, entry.Request.Outcome.UsageProblem!))
            .ToList();
        return new LoadReport(
            LoadReport.CurrentSchema,
            $"tessera-load {typeof(ReportBuilder).Assembly.GetName().Version?.ToString(3)}",
            measurement.Command,
            measurement.StartedAt,
            measurement.Duration.TotalSeconds,
            Name(points.Count == 0 ? CompareEnd.Interrupted : points[^1].Result.End),
            run,
            new ServerReport(facts.HasLatents, facts.KvBytesPerPosition, points.Max(point => point.Result.KvBytesPeak)),
            new ClientReport(
                measurement.CpuTime.TotalSeconds, measurement.Duration > TimeSpan.Zero ? measurement.CpuTime / measurement.Duration : 0),
            [.. measurement.Notes, .. ReportNotes.Find(facts, points, reports, usageProblems.Count)],
            reports,
            GroupFailures(points),
            usageProblems);
    }

    /// <summary>The wire name of an answer rule.</summary>
    public static string Name(AnswerRule rule) => rule switch
    {
        AnswerRule.FinalSentence => "final_sentence",
        AnswerRule.Exact => "exact",
        AnswerRule.FinalNumber => "final_number",
        _ => "exact_or_final_number",
    };

    /// <summary>The wire name of a layout.</summary>
    public static string Name(DatasetLayout layout) => layout switch
    {
        DatasetLayout.ProsQa => "prosqa",
        DatasetLayout.Generated => "generated",
        _ => "jsonl",
    };

    private static string Name(CompareEnd end) => end switch
    {
        CompareEnd.Completed => "completed",
        CompareEnd.Interrupted => "interrupted",
        _ => "server_unreachable",
    };

    private static string Name(OutcomeKind kind) => kind switch
    {
        OutcomeKind.Succeeded => "succeeded",
        OutcomeKind.Refused => "refused",
        OutcomeKind.TimedOut => "timed_out",
        OutcomeKind.Interrupted => "interrupted",
        _ => "failed",
    };

    private static PointReport BuildPoint(MeasuredPoint point, RunReport run, ServerFacts facts, long ticksPerSecond)
    {
        var (arrivals, result) = (point.Arrivals, point.Result);
        var arms = Enumerable.Range(0, result.Arms.Count).ToList();
        var load = new LoadShapeReport(
            arrivals.IsOpen ? "open_loop" : "closed_loop", arrivals.Concurrency, arrivals.Rate, arrivals.IsOpen ? arrivals.Burstiness : null,
            arrivals.Ramp?.FromRate, arrivals.Ramp?.Shape.ToString().ToLowerInvariant(), point.BlockPrompts);
        int? concurrency = arrivals.IsOpen ? null : arrivals.Concurrency;
        return new PointReport(
            load,
            Name(result.End),
            [.. arms.Select(arm => new ArmReportBuilder(result, arm, facts.KvBytesPerPosition, ticksPerSecond, concurrency, run.Objectives).Build())],
            [.. arms.Skip(1).Select(arm => Compare(result, arm, facts.KvBytesPerPosition, run.Seed))],
            [.. result.Prompts.Where(prompt => prompt.ByArm.Any(request => request is not null)).Select(prompt => Describe(prompt, result.Arms, facts))]);
    }

    private static ComparisonReport Compare(CompareResult result, int arm, long? kvBytesPerPosition, int seed)
    {
        var pairs = result.Prompts.Select(prompt => prompt.Pair(0, arm)).Where(pair => pair.BothRan).ToList();
        var onlyBaseline = pairs.Count(pair => pair.Baseline!.IsCorrect && !pair.Arm!.IsCorrect);
        var onlyArm = pairs.Count(pair => pair.Arm!.IsCorrect && !pair.Baseline!.IsCorrect);
        var differences = pairs.Select(pair => (pair.Arm!.IsCorrect ? 1.0 : 0.0) - (pair.Baseline!.IsCorrect ? 1.0 : 0.0)).ToArray();
        return new ComparisonReport(
            result.Arms[0].Name,
            result.Arms[arm].Name,
            new AccuracyReport(pairs.Count, onlyBaseline, onlyArm, MeanEstimate.Of(differences, seed), McNemar.ExactP(onlyBaseline, onlyArm)),
            RatioBuilder.Build(result, 0, arm, kvBytesPerPosition, seed),
            SavingsBuilder.Build(pairs, kvBytesPerPosition, seed));
    }

    private static IEnumerable<(string Arm, int Prompt, MeasuredRequest Request)> Requests(IReadOnlyList<MeasuredPoint> points) =>
        from point in points
        from arm in Enumerable.Range(0, point.Result.Arms.Count)
        from prompt in point.Result.Prompts
        where prompt.ByArm[arm] is not null
        select (point.Result.Arms[arm].Name, prompt.Case.Number, prompt.ByArm[arm]!);

    private static List<FailureReport> GroupFailures(IReadOnlyList<MeasuredPoint> points) =>
        [.. Requests(points)
            .Where(entry => entry.Request.Outcome.Kind != OutcomeKind.Succeeded)
            .GroupBy(entry => (entry.Arm, entry.Request.Outcome.Kind, entry.Request.Outcome.HttpStatus, Message: entry.Request.Outcome.Error ?? ""))
            .OrderBy(group => group.Key.Arm, StringComparer.Ordinal)
            .ThenByDescending(group => group.Count())
            .Select(group => new FailureReport(group.Key.Arm, Name(group.Key.Kind), group.Key.HttpStatus, group.Key.Message, group.Count()))];

    private static PromptReport Describe(PromptRuns prompt, IReadOnlyList<Arm> arms, ServerFacts facts) => new(
        prompt.Case.Number,
        [.. Enumerable.Range(0, arms.Count)
            .Where(arm => prompt.ByArm[arm] is not null)
            .Select(arm => Describe(
                arms[arm].Name, prompt.ByArm[arm]!, arm == 0 ? null : SavingsBuilder.Build(prompt.Pair(0, arm), facts.KvBytesPerPosition)))]);

    private static PromptArmReport Describe(string arm, MeasuredRequest request, PromptSavingsReport? savings)
    {
        var outcome = request.Outcome;
        var tokens = outcome.Usage is { } usage
            ? new PromptTokensReport(usage.Prompt, usage.Cached, usage.Latent, usage.Control, usage.ReasoningText, usage.Answer, usage.Completion)
            : null;
        return new PromptArmReport(
            arm, Name(outcome.Kind), request.IsCorrect, tokens, outcome.TimeToFirstToken?.TotalMilliseconds, outcome.TimeToFirstAnswerToken?.TotalMilliseconds,
            outcome.TimePerOutputToken?.TotalMilliseconds, outcome.EndToEnd.TotalMilliseconds, savings);
    }
}
