using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>Sums up one mode. Accuracy counts every attempted request; times and tokens count those that succeeded.</summary>
internal static class ModeReportBuilder
{
    public static ModeReport Build(CompareResult result, ReasoningMode mode, long? kvBytesPerPosition)
    {
        var requests = result.Pairs.Select(pair => pair[mode]).OfType<MeasuredRequest>().ToList();
        var succeeded = requests.Where(request => request.Outcome.Kind == OutcomeKind.Succeeded).Select(request => request.Outcome).ToList();
        var counted = succeeded.Select(outcome => outcome.Usage).OfType<TokenUsage>().ToList();
        var phases = result.Phases.Where(phase => phase.Phase.Mode == mode).ToList();
        return new ModeReport(
            CountRequests(requests, result.InterruptedCount(mode)),
            Proportion.Wilson(requests.Count(request => request.IsCorrect), requests.Count),
            AverageTokens(counted),
            Milliseconds(succeeded.Select(outcome => outcome.TimeToFirstToken)),
            Milliseconds(succeeded.Select(outcome => outcome.TimeToFirstAnswerToken)),
            Milliseconds(succeeded.SelectMany(outcome => outcome.InterTokenTimes).Select(time => (TimeSpan?)time)),
            Milliseconds(succeeded.Select(outcome => outcome.TimePerOutputToken)),
            Milliseconds(succeeded.Select(outcome => (TimeSpan?)outcome.EndToEnd)),
            Throughput(phases, succeeded.Count, counted),
            new KvReport(
                Distribution.From(kvBytesPerPosition is { } bytes ? counted.Select(usage => (double)usage.KvPositions * bytes) : []),
                Distribution.From(phases.SelectMany(phase => phase.KvBytesInUse).Select(sample => (double)sample))));
    }

    private static RequestsReport CountRequests(List<MeasuredRequest> requests, int interrupted)
    {
        int Of(OutcomeKind kind) => requests.Count(request => request.Outcome.Kind == kind);
        return new RequestsReport(
            requests.Count, Of(OutcomeKind.Succeeded), Of(OutcomeKind.Refused), Of(OutcomeKind.Failed), Of(OutcomeKind.TimedOut), interrupted,
            requests.Count(request => request.Outcome.EndedByLength));
    }

    private static TokensReport AverageTokens(List<TokenUsage> counted)
    {
        double? Mean(Func<TokenUsage, int> tokens) => counted.Count == 0 ? null : counted.Average(tokens);
        return new TokensReport(
            counted.Count, Mean(usage => usage.Prompt), Mean(usage => usage.Cached), Mean(usage => usage.Latent), Mean(usage => usage.Control),
            Mean(usage => usage.ReasoningText), Mean(usage => usage.Answer), Mean(usage => usage.Completion));
    }

    private static ThroughputReport Throughput(List<PhaseResult> phases, int succeeded, List<TokenUsage> counted)
    {
        var seconds = phases.Sum(phase => phase.Duration.TotalSeconds);
        return seconds > 0
            ? new ThroughputReport(seconds, succeeded / seconds, counted.Sum(usage => (long)usage.Completion) / seconds)
            : new ThroughputReport(0, null, null);
    }

    private static Distribution Milliseconds(IEnumerable<TimeSpan?> times) =>
        Distribution.From(times.OfType<TimeSpan>().Select(time => time.TotalMilliseconds));
}
