using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Reporting;

/// <summary>The contents of report.json; docs/reference/load-report.md documents every field. The end of a name gives the unit of a time.</summary>
/// <param name="Schema">Name and version of this layout.</param>
/// <param name="Tool">Name and version of this tool.</param>
/// <param name="Command">run or compare.</param>
/// <param name="StartedAt">Start of the measurement, warm-up excluded.</param>
/// <param name="DurationSeconds">Length of the measurement, over all points.</param>
/// <param name="Ended">completed, interrupted or server_unreachable.</param>
/// <param name="Run">What was asked.</param>
/// <param name="Server">What the server said of itself.</param>
/// <param name="Client">What this tool itself used.</param>
/// <param name="Notes">What a reader should know before using the figures.</param>
/// <param name="Points">One per load that was asked for.</param>
/// <param name="Failures">Why requests did not succeed.</param>
/// <param name="UsageProblems">Responses whose counts contradict each other.</param>
public sealed record LoadReport(
    string Schema, string Tool, string Command, DateTimeOffset StartedAt, double DurationSeconds, string Ended, RunReport Run, ServerReport Server,
    ClientReport Client, IReadOnlyList<string> Notes, IReadOnlyList<PointReport> Points, IReadOnlyList<FailureReport> Failures,
    IReadOnlyList<UsageProblemReport> UsageProblems)
{
    /// <summary>Name and version of the layout: the number grows when a field changes its meaning or goes; new fields do not change it.</summary>
    public const string CurrentSchema = "tessera.load-report/2";
}

/// <summary>What was asked.</summary>
public sealed record RunReport(
    string Url, string? Grpc, string Model, DatasetReport Dataset, int RequestsAsked, int Prompts, int WarmupPrompts, int? MaxTokens, double TimeoutSeconds,
    int Seed, string Sampling, string PrefixCache, Objectives? Objectives);

/// <summary>The dataset.</summary>
public sealed record DatasetReport(string Name, string Sha256, string Layout, int Prompts, string AnswerRule);

/// <summary>What the server said of itself.</summary>
public sealed record ServerReport(bool HasLatents, long? KvBytesPerPosition, long? KvBytesPeak);

/// <summary>What this tool itself used while it measured: a client that is busy measures itself.</summary>
public sealed record ClientReport(double CpuSeconds, double CoreShare);

/// <summary>When requests were sent. Kind: closed_loop or open_loop.</summary>
public sealed record LoadShapeReport(string Kind, int Concurrency, double? RequestsPerSecond, double? Burstiness, double? RampFrom, string? RampShape, int BlockPrompts);

/// <summary>Everything measured at one load.</summary>
public sealed record PointReport(
    LoadShapeReport Load, string Ended, IReadOnlyList<ArmReport> Arms, IReadOnlyList<ComparisonReport> Comparisons, IReadOnlyList<PromptReport> Prompts)
{
    /// <summary>The arm of a name; null when there is none.</summary>
    public ArmReport? FindArm(string name) => Arms.FirstOrDefault(arm => arm.Arm == name);
}

/// <summary>One arm.</summary>
public sealed record ArmReport(
    string Arm, string Mode, int? LatentBudget, RequestsReport Requests, Proportion Accuracy, TokensReport Tokens, Distribution TimeToFirstTokenMs,
    Distribution TimeToFirstAnswerTokenMs, Distribution InterTokenTimeMs, Distribution TimePerOutputTokenMs, Distribution EndToEndMs, Distribution SendDelayMs,
    ThroughputReport Throughput, SteadyStateReport? SteadyState, GoodputReport? Goodput, InFlightReport InFlight, SaturationReport? Saturation, KvReport KvCache,
    MemoryReport Memory);

/// <summary>How the requests of an arm ended.</summary>
public sealed record RequestsReport(int Attempted, int Succeeded, int Refused, int Failed, int TimedOut, int Interrupted, int EndedByLength);

/// <summary>Mean tokens per succeeded request with believable counts; null when there is none, and for kinds that the server does not count.</summary>
public sealed record TokensReport(
    int N, double? Prompt, double? Cached, double? Latent, double? Control, double? ReasoningText, double? Answer, double? Completion);

/// <summary>Rates over the time in which the arm ran.</summary>
public sealed record ThroughputReport(double Seconds, double? RequestsPerSecond, double? TokensPerSecond, double? TotalTokensPerSecond);

/// <summary>The part of the time in which the load was whole: rates of what ended in it, latencies of the requests that were sent in it.</summary>
public sealed record SteadyStateReport(
    double Seconds, int Requests, double RequestsPerSecond, double TokensPerSecond, Distribution TimeToFirstTokenMs, Distribution EndToEndMs);

/// <summary>Requests that met all objectives; share of all attempted.</summary>
public sealed record GoodputReport(int Good, double Share, double? RequestsPerSecond);

/// <summary>Requests in flight: mean over time, most, and the course; gaps between the phases of an arm are left out of the mean.</summary>
public sealed record InFlightReport(double Mean, int Max, IReadOnlyList<double> Seconds, IReadOnlyList<int> Values);

/// <summary>Whether the server kept up with an open loop, in any phase.</summary>
public sealed record SaturationReport(
    bool IsOverSaturated, double ArrivalsPerSecond, double CompletionsPerSecond, int InFlightAtHalf, int InFlightAtEnd);

/// <summary>Keys and values in bytes: per request, and in use on the server while the arm ran.</summary>
public sealed record KvReport(Distribution BytesPerRequest, Distribution BytesInUse);

/// <summary>The server's memory while the arm ran; the lists have one entry per sample, null for what the server did not tell.</summary>
public sealed record MemoryReport(
    Distribution ResidentBytes, Distribution GpuBytes, IReadOnlyList<double> Seconds, IReadOnlyList<long?> Resident, IReadOnlyList<long?> KvInUse,
    IReadOnlyList<long?> KvPeak, IReadOnlyList<long?> Gpu);

/// <summary>An arm against the baseline, on the same prompts.</summary>
public sealed record ComparisonReport(string Baseline, string Arm, AccuracyReport Accuracy, IReadOnlyList<RatioReport> Ratios, SavingsReport Savings)
{
    /// <summary>The ratio of a metric.</summary>
    public RatioReport Ratio(string metric) => Ratios.Single(ratio => ratio.Metric == metric);
}

/// <summary>Accuracy on prompts that ran in both arms.</summary>
public sealed record AccuracyReport(int Pairs, int OnlyBaselineCorrect, int OnlyArmCorrect, MeanEstimate ArmMinusBaseline, double McnemarP);

/// <summary>One ratio: baseline / value.</summary>
public sealed record RatioReport(string Metric, int N, double? Baseline, double? Value, double? Ratio, double? Low, double? High);

/// <summary>Baseline minus arm per pair.</summary>
public sealed record SavingsReport(
    string Basis, int Pairs, double? LatentTokens, double? TextEquivalentTokens, MeanEstimate TokensSaved, MeanEstimate FractionSaved,
    MeanEstimate StepsSaved, MeanEstimate SecondsSaved, MeanEstimate KvBytesSaved);

/// <summary>One reason why requests did not succeed.</summary>
public sealed record FailureReport(string Arm, string Kind, int? HttpStatus, string Message, int Count);

/// <summary>One response with contradictory counts.</summary>
public sealed record UsageProblemReport(string Arm, int Prompt, string Problem);

/// <summary>One prompt; Prompt is its line or entry in the dataset.</summary>
public sealed record PromptReport(int Prompt, IReadOnlyList<PromptArmReport> Runs);

/// <summary>One prompt in one arm.</summary>
public sealed record PromptArmReport(
    string Arm, string Outcome, bool Correct, PromptTokensReport? Tokens, double? TimeToFirstTokenMs, double? TimeToFirstAnswerTokenMs,
    double? TimePerOutputTokenMs, double EndToEndMs, PromptSavingsReport? Savings);

/// <summary>Tokens of one response.</summary>
public sealed record PromptTokensReport(int Prompt, int Cached, int? Latent, int? Control, int ReasoningText, int Answer, int Completion);

/// <summary>Baseline minus arm of one prompt.</summary>
public sealed record PromptSavingsReport(string Basis, int TokensSaved, double SecondsSaved, long? KvBytesSaved);
