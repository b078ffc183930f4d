using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>Turns what was measured into the report.</summary>
public static class ReportBuilder
{
    /// <summary>Builds the report; pure but for the tool's own version.</summary>
    /// <param name="run">What was asked.</param>
    /// <param name="facts">What the server said of itself.</param>
    /// <param name="result">What was measured.</param>
    /// <param name="startedAt">Start of the measurement.</param>
    /// <param name="duration">Length of the measurement.</param>
    /// <param name="notes">What was already noticed before the run.</param>
    public static LoadReport Build(
        RunReport run, ServerFacts facts, CompareResult result, DateTimeOffset startedAt, TimeSpan duration, IReadOnlyList<string> notes)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(facts);
        ArgumentNullException.ThrowIfNull(result);
        var text = ModeReportBuilder.Build(result, ReasoningMode.Text, facts.KvBytesPerPosition);
        var latent = ModeReportBuilder.Build(result, ReasoningMode.Latent, facts.KvBytesPerPosition);
        var usageProblems = Requests(result)
            .Where(entry => entry.Request.Outcome.UsageProblem is not null)
            .Select(entry => new UsageProblemReport(CompareRunner.Name(entry.Mode), entry.Prompt, entry.Request.Outcome.UsageProblem!))
            .ToList();
        return new LoadReport(
            LoadReport.CurrentSchema,
            $"tessera-load {typeof(ReportBuilder).Assembly.GetName().Version?.ToString(3)}",
            startedAt,
            duration.TotalSeconds,
            Name(result.End),
            run,
            new ServerReport(facts.KvBytesPerPosition, result.KvBytesPeak),
            [.. notes, .. Notes(facts, result, latent, usageProblems.Count)],
            new ModesReport(text, latent),
            CompareAccuracy(result.Pairs, run.Seed),
            RatioBuilder.Build(result, facts.KvBytesPerPosition, run.Seed),
            SavingsBuilder.Build(result.Pairs, facts.KvBytesPerPosition, run.Seed),
            GroupFailures(result),
            usageProblems,
            [.. result.Pairs.Where(pair => pair.Text is not null || pair.Latent is not null).Select(pair => DescribePair(pair, facts.KvBytesPerPosition))]);
    }

    /// <summary>The wire name of an answer rule.</summary>
    public static string Name(AnswerRule rule) => rule == AnswerRule.FinalSentence ? "final_sentence" : "exact_or_final_number";

    /// <summary>The wire name of a layout.</summary>
    public static string Name(DatasetLayout layout) => layout == DatasetLayout.ProsQa ? "prosqa" : "jsonl";

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

    private static IEnumerable<string> Notes(ServerFacts facts, CompareResult result, ModeReport latent, int usageProblemCount)
    {
        if (result.End != CompareEnd.Completed)
        {
            var pairs = result.Pairs.Count(pair => pair is { Text: not null, Latent: not null });
            var why = result.End == CompareEnd.Interrupted ? "the run was interrupted" : "the server stopped answering";
            yield return $"{why}: {pairs} of {result.Pairs.Count} prompts ran in both modes";
        }

        if (facts.KvBytesPerPosition is null)
        {
            yield return "the server does not tell engine.kv_bytes_per_position on /info: no KV bytes per request";
        }

        if (latent.Tokens is { N: > 0, Latent: 0 })
        {
            yield return "latent mode gave no latents at all: this compares text with text";
        }

        if (usageProblemCount > 0)
        {
            yield return $"{usageProblemCount} responses have counts that contradict each other; they are left out of tokens, TPOT, KV bytes and savings";
        }
    }

    private static AccuracyReport CompareAccuracy(IReadOnlyList<PromptPair> pairs, int seed)
    {
        var both = pairs.Where(pair => pair is { Text: not null, Latent: not null }).ToList();
        var onlyText = both.Count(pair => pair.Text!.IsCorrect && !pair.Latent!.IsCorrect);
        var onlyLatent = both.Count(pair => pair.Latent!.IsCorrect && !pair.Text!.IsCorrect);
        var differences = both.Select(pair => (pair.Latent!.IsCorrect ? 1.0 : 0.0) - (pair.Text!.IsCorrect ? 1.0 : 0.0)).ToArray();
        return new AccuracyReport(both.Count, onlyText, onlyLatent, MeanEstimate.Of(differences, seed), McNemar.ExactP(onlyText, onlyLatent));
    }

    private static IEnumerable<(ReasoningMode Mode, int Prompt, MeasuredRequest Request)> Requests(CompareResult result) =>
        from mode in new[] { ReasoningMode.Text, ReasoningMode.Latent }
        from pair in result.Pairs
        where pair[mode] is not null
        select (mode, pair.Case.Number, pair[mode]!);

    private static List<FailureReport> GroupFailures(CompareResult result) =>
        [.. Requests(result)
            .Where(entry => entry.Request.Outcome.Kind != OutcomeKind.Succeeded)
            .GroupBy(entry => (entry.Mode, entry.Request.Outcome.Kind, entry.Request.Outcome.HttpStatus, Message: entry.Request.Outcome.Error ?? ""))
            .OrderBy(group => group.Key.Mode)
            .ThenByDescending(group => group.Count())
            .Select(group => new FailureReport(
                CompareRunner.Name(group.Key.Mode), Name(group.Key.Kind), group.Key.HttpStatus, group.Key.Message, group.Count()))];

    private static PairReport DescribePair(PromptPair pair, long? kvBytesPerPosition) =>
        new(pair.Case.Number, Describe(pair.Text), Describe(pair.Latent), SavingsBuilder.Build(pair, kvBytesPerPosition));

    private static PairModeReport? Describe(MeasuredRequest? request)
    {
        if (request is null)
        {
            return null;
        }

        var outcome = request.Outcome;
        var tokens = outcome.Usage is { } usage
            ? new PairTokensReport(usage.Prompt, usage.Cached, usage.Latent, usage.Control, usage.ReasoningText, usage.Answer, usage.Completion)
            : null;
        return new PairModeReport(
            Name(outcome.Kind), request.IsCorrect, tokens, outcome.TimeToFirstToken?.TotalMilliseconds, outcome.TimeToFirstAnswerToken?.TotalMilliseconds,
            outcome.TimePerOutputToken?.TotalMilliseconds, outcome.EndToEnd.TotalMilliseconds);
    }
}
