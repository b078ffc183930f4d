using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>Sums up one arm. Accuracy and goodput count every attempted request; times and tokens count those that succeeded.</summary>
internal sealed class ArmReportBuilder(CompareResult result, int arm, long? kvBytesPerPosition, long ticksPerSecond, int? closedLoopConcurrency, Objectives? objectives)
{
    // More points than a screen has columns make a report large, not precise.
    private const int MaxSeriesLength = 2000;

    private readonly List<MeasuredRequest> _requests = [.. result.RunsOf(arm)];
    private readonly List<PhaseResult> _phases = [.. result.PhasesOf(arm)];
    private readonly List<Timeline> _timelines = [.. result.PhasesOf(arm).Select(phase => new Timeline(phase, ticksPerSecond))];

    public ArmReport Build()
    {
        var which = result.Arms[arm];
        var succeeded = _requests.Where(request => request.Outcome.Kind == OutcomeKind.Succeeded).Select(request => request.Outcome).ToList();
        var counted = succeeded.Select(outcome => outcome.Usage).OfType<TokenUsage>().ToList();
        var seconds = _phases.Sum(phase => phase.Duration.TotalSeconds);
        return new ArmReport(
            which.Name,
            which.Mode.Name(),
            which.LatentBudget,
            CountRequests(),
            Proportion.Wilson(_requests.Count(request => request.IsCorrect), _requests.Count),
            AverageTokens(counted),
            Milliseconds(succeeded.Select(outcome => outcome.TimeToFirstToken)),
            Milliseconds(succeeded.Select(outcome => outcome.TimeToFirstAnswerToken)),
            Distribution.From(succeeded.SelectMany(outcome => outcome.InterTokenTimes).Select(time => time.TotalMilliseconds)),
            Milliseconds(succeeded.Select(outcome => outcome.TimePerOutputToken)),
            Milliseconds(succeeded.Select(outcome => (TimeSpan?)outcome.EndToEnd)),
            Milliseconds(_requests.Select(request => (TimeSpan?)request.Outcome.SendDelay)),
            Throughput(seconds, succeeded.Count, counted),
            SteadyState(),
            Goodput(seconds),
            InFlight(seconds),
            FindSaturation(),
            new KvReport(
                Distribution.From(kvBytesPerPosition is { } bytes ? counted.Select(usage => (double)usage.KvPositions * bytes) : []),
                Samples(memory => memory.KvBytesInUse)),
            Memory());
    }

    private RequestsReport CountRequests()
    {
        int Of(OutcomeKind kind) => _requests.Count(request => request.Outcome.Kind == kind);
        return new RequestsReport(
            _requests.Count, Of(OutcomeKind.Succeeded), Of(OutcomeKind.Refused), Of(OutcomeKind.Failed), Of(OutcomeKind.TimedOut), result.InterruptedCount(arm),
            _requests.Count(request => request.Outcome.EndedByLength));
    }

    private static TokensReport AverageTokens(List<TokenUsage> counted)
    {
        double? Mean(Func<TokenUsage, int?> tokens) => counted.Average(tokens);
        return new TokensReport(
            counted.Count, Mean(usage => usage.Prompt), Mean(usage => usage.Cached), Mean(usage => usage.Latent), Mean(usage => usage.Control),
            Mean(usage => usage.ReasoningText), Mean(usage => usage.Answer), Mean(usage => usage.Completion));
    }

    private static ThroughputReport Throughput(double seconds, int succeeded, List<TokenUsage> counted)
    {
        var completion = counted.Sum(usage => (long)usage.Completion);
        var total = completion + counted.Sum(usage => (long)usage.Prompt);
        return seconds > 0
            ? new ThroughputReport(seconds, succeeded / seconds, completion / seconds, total / seconds)
            : new ThroughputReport(0, null, null, null);
    }

    // Rates count what ended and came within the window, whenever it was sent; latencies are those of the requests that were sent in it, however long they took.
    private SteadyStateReport? SteadyState()
    {
        var seconds = 0.0;
        var (ended, tokens) = (0, 0);
        var sent = new List<RequestOutcome>();
        foreach (var timeline in _timelines)
        {
            if (timeline.SteadyState(closedLoopConcurrency) is not var (from, to))
            {
                continue;
            }

            var succeeded = timeline.Requests.Where(request => request.Outcome.Kind == OutcomeKind.Succeeded).ToList();
            seconds += to - from;
            ended += succeeded.Count(request => request.Ended > from && request.Ended <= to);
            tokens += succeeded.Sum(request => CountTokens(request, from, to));
            sent.AddRange(succeeded.Where(request => request.Sent >= from && request.Sent <= to).Select(request => request.Outcome));
        }

        return seconds > 0
            ? new SteadyStateReport(
                seconds, sent.Count, ended / seconds, tokens / seconds,
                Milliseconds(sent.Select(outcome => outcome.TimeToFirstToken)), Milliseconds(sent.Select(outcome => (TimeSpan?)outcome.EndToEnd)))
            : null;
    }

    private static int CountTokens(TimedRequest request, double from, double to)
    {
        if (request.Outcome.TimeToFirstToken is not { } first)
        {
            return 0;
        }

        var at = request.Intended + first.TotalSeconds;
        var count = at >= from && at <= to ? 1 : 0;
        foreach (var gap in request.Outcome.InterTokenTimes)
        {
            at += gap.TotalSeconds;
            count += at >= from && at <= to ? 1 : 0;
        }

        return count;
    }

    private GoodputReport? Goodput(double seconds)
    {
        if (objectives is null || _requests.Count == 0)
        {
            return null;
        }

        var good = _requests.Count(request => objectives.AreMet(request.Outcome));
        return new GoodputReport(good, (double)good / _requests.Count, seconds > 0 ? good / seconds : null);
    }

    private InFlightReport InFlight(double seconds)
    {
        var times = new List<double>();
        var values = new List<int>();
        var most = 0;
        foreach (var (phase, timeline) in _phases.Zip(_timelines))
        {
            var series = timeline.InFlight();
            most = Math.Max(most, series.Values.DefaultIfEmpty().Max());
            times.AddRange(series.Seconds.Select(second => Rounded(second + phase.StartedAt.TotalSeconds)));
            values.AddRange(series.Values);
        }

        var mean = seconds > 0 ? _timelines.Sum(timeline => timeline.MeanInFlight() * timeline.Seconds) / seconds : 0;
        var kept = Thin(times.Count);
        return new InFlightReport(mean, most, [.. kept.Select(i => times[i])], [.. kept.Select(i => values[i])]);
    }

    // The worst phase speaks for the arm.
    private SaturationReport? FindSaturation()
    {
        if (closedLoopConcurrency is not null)
        {
            return null;
        }

        var worst = _timelines
            .Select(timeline => Saturation.Detect(timeline.Requests))
            .OfType<Saturation>()
            .OrderByDescending(saturation => saturation.IsOverSaturated)
            .ThenBy(saturation => saturation.CompletionsPerSecond / saturation.ArrivalsPerSecond)
            .FirstOrDefault();
        return worst is null ? null : new SaturationReport(
            worst.IsOverSaturated, worst.ArrivalsPerSecond, worst.CompletionsPerSecond, worst.InFlightAtHalf, worst.InFlightAtEnd);
    }

    private MemoryReport Memory()
    {
        var samples = _phases.SelectMany(phase => phase.Memory).ToList();
        var kept = Thin(samples.Count);
        long?[] Of(Func<ServerMemory, long?> value) => [.. kept.Select(i => value(samples[i].Memory))];
        return new MemoryReport(
            Samples(memory => memory.ResidentBytes), Samples(memory => memory.GpuBytes), [.. kept.Select(i => Rounded(samples[i].At.TotalSeconds))],
            Of(memory => memory.ResidentBytes), Of(memory => memory.KvBytesInUse), Of(memory => memory.KvBytesPeak), Of(memory => memory.GpuBytes));
    }

    private Distribution Samples(Func<ServerMemory, long?> value) =>
        Distribution.From(_phases.SelectMany(phase => phase.Memory).Select(sample => value(sample.Memory)).OfType<long>().Select(sample => (double)sample));

    private static List<int> Thin(int count)
    {
        var step = (count + MaxSeriesLength - 1) / MaxSeriesLength;
        return [.. Enumerable.Range(0, count).Where(i => i % step == 0)];
    }

    private static double Rounded(double seconds) => Math.Round(seconds, 4);

    private static Distribution Milliseconds(IEnumerable<TimeSpan?> times) =>
        Distribution.From(times.OfType<TimeSpan>().Select(time => time.TotalMilliseconds));
}
