using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>
/// Ratios baseline / arm. A ratio per request rests on the pairs where both gave the value; a rate rests on the blocks that ran in both
/// arms, which are then what is resampled.
/// </summary>
internal static class RatioBuilder
{
    public const string CompletionTokens = "completion_tokens_mean";
    public const string TimeToFirstToken = "time_to_first_token_ms_mean";
    public const string TimeToFirstAnswerToken = "time_to_first_answer_token_ms_mean";
    public const string InterTokenTime = "inter_token_time_ms_mean";
    public const string TimePerOutputToken = "time_per_output_token_ms_mean";
    public const string EndToEnd = "end_to_end_ms_mean";
    public const string EndToEndP50 = "end_to_end_ms_p50";
    public const string EndToEndP90 = "end_to_end_ms_p90";
    public const string EndToEndP99 = "end_to_end_ms_p99";
    public const string KvBytesPerRequest = "kv_bytes_per_request_mean";
    public const string RequestsPerSecond = "requests_per_second";
    public const string TokensPerSecond = "tokens_per_second";

    public static IReadOnlyList<RatioReport> Build(CompareResult result, int baseline, int arm, long? kvBytesPerPosition, int seed)
    {
        var pairs = result.Prompts.Select(prompt => prompt.Pair(baseline, arm)).ToList();
        RatioReport PerPair(string metric, Func<RequestOutcome, Weighted?> value, Func<Weighted[], double>? statistic = null) =>
            OverPairs(metric, pairs, value, statistic ?? PairedRatio.Mean, seed);
        RatioReport PerBlock(string metric, Func<RequestOutcome, double> amount) => OverBlocks(metric, result.Phases, baseline, arm, amount, seed);

        return
        [
            PerPair(CompletionTokens, outcome => Of(outcome.Usage?.Completion)),
            PerPair(TimeToFirstToken, outcome => Of(outcome.TimeToFirstToken?.TotalMilliseconds)),
            PerPair(TimeToFirstAnswerToken, outcome => Of(outcome.TimeToFirstAnswerToken?.TotalMilliseconds)),
            PerPair(InterTokenTime, MeanInterTokenTime),
            PerPair(TimePerOutputToken, outcome => Of(outcome.TimePerOutputToken?.TotalMilliseconds)),
            PerPair(EndToEnd, outcome => Of(outcome.EndToEnd.TotalMilliseconds)),
            PerPair(EndToEndP50, outcome => Of(outcome.EndToEnd.TotalMilliseconds), PairedRatio.Percentile(50)),
            PerPair(EndToEndP90, outcome => Of(outcome.EndToEnd.TotalMilliseconds), PairedRatio.Percentile(90)),
            PerPair(EndToEndP99, outcome => Of(outcome.EndToEnd.TotalMilliseconds), PairedRatio.Percentile(99)),
            PerPair(KvBytesPerRequest, outcome => Of((double?)outcome.Usage?.KvPositions * kvBytesPerPosition)),
            PerBlock(RequestsPerSecond, outcome => 1),
            PerBlock(TokensPerSecond, outcome => outcome.Usage?.Completion ?? 0),
        ];
    }

    private static Weighted? Of(double? value) => value is { } known ? new Weighted(known) : null;

    // Pooled over tokens: a request's mean weighs its gaps.
    private static Weighted? MeanInterTokenTime(RequestOutcome outcome) => outcome.InterTokenTimes.Count == 0
        ? null
        : new Weighted(outcome.InterTokenTimes.Average(time => time.TotalMilliseconds), outcome.InterTokenTimes.Count);

    private static RatioReport OverPairs(
        string metric, List<ArmPair> pairs, Func<RequestOutcome, Weighted?> value, Func<Weighted[], double> statistic, int seed)
    {
        var baseline = new List<Weighted>();
        var arm = new List<Weighted>();
        foreach (var pair in pairs.Where(pair => pair.BothSucceeded))
        {
            if (value(pair.Baseline!.Outcome) is { } ofBaseline && value(pair.Arm!.Outcome) is { } ofArm)
            {
                baseline.Add(ofBaseline);
                arm.Add(ofArm);
            }
        }

        return Report(metric, PairedRatio.Estimate([.. baseline], [.. arm], statistic, seed));
    }

    private static RatioReport OverBlocks(
        string metric, IReadOnlyList<PhaseResult> phases, int baseline, int arm, Func<RequestOutcome, double> amount, int seed)
    {
        Weighted Rate(PhaseResult phase) => new(phase.Succeeded.Sum(amount) / phase.Duration.TotalSeconds, phase.Duration.TotalSeconds);
        var blocks = phases
            .Where(phase => phase.Phase.Arm == baseline || phase.Phase.Arm == arm)
            .GroupBy(phase => phase.Phase.Block)
            .Where(block => block.Count() == 2 && block.All(phase => phase.Duration > TimeSpan.Zero))
            .ToList();
        Weighted[] Rates(int which) => [.. blocks.Select(block => Rate(block.Single(phase => phase.Phase.Arm == which)))];
        return Report(metric, PairedRatio.Estimate(Rates(baseline), Rates(arm), PairedRatio.Mean, seed));
    }

    private static RatioReport Report(string metric, RatioEstimate estimate) =>
        new(metric, estimate.N, estimate.Baseline, estimate.Arm, estimate.Ratio, estimate.Low, estimate.High);
}
