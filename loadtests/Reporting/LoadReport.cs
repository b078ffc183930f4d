using Tessera.LoadTests.Measurement;

namespace Tessera.LoadTests.Reporting;

/// <summary>The contents of report.json; docs/reference/load-report.md documents every field. The end of a name gives the unit of a time.</summary>
/// <param name="Schema">Name and version of this layout.</param>
/// <param name="Tool">Name and version of this tool.</param>
/// <param name="StartedAt">Start of the measurement, warm-up excluded.</param>
/// <param name="DurationSeconds">Length of the measurement.</param>
/// <param name="Ended">completed, interrupted or server_unreachable.</param>
/// <param name="Run">What was asked.</param>
/// <param name="Server">What the server said of itself.</param>
/// <param name="Notes">What a reader should know before using the figures.</param>
/// <param name="Modes">The modes on their own.</param>
/// <param name="Accuracy">The modes' accuracy on the same prompts.</param>
/// <param name="Ratios">Text over latent.</param>
/// <param name="Savings">Text minus latent, over pairs.</param>
/// <param name="Failures">Why requests did not succeed.</param>
/// <param name="UsageProblems">Responses whose counts contradict each other.</param>
/// <param name="Pairs">Every prompt that ran.</param>
public sealed record LoadReport(
    string Schema, string Tool, DateTimeOffset StartedAt, double DurationSeconds, string Ended, RunReport Run, ServerReport Server, IReadOnlyList<string> Notes,
    ModesReport Modes, AccuracyReport Accuracy, IReadOnlyList<RatioReport> Ratios, SavingsReport Savings, IReadOnlyList<FailureReport> Failures,
    IReadOnlyList<UsageProblemReport> UsageProblems, IReadOnlyList<PairReport> Pairs)
{
    /// <summary>Name and version of the layout: the number grows when a field changes its meaning or goes; new fields do not change it.</summary>
    public const string CurrentSchema = "tessera.load-report/1";
}

/// <summary>What was asked.</summary>
public sealed record RunReport(
    string Url, string Model, DatasetReport Dataset, int RequestsAsked, int Prompts, int Concurrency, int BlockPrompts, int WarmupPrompts,
    int? LatentBudget, int? MaxTokens, double TimeoutSeconds, int Seed, string Sampling);

/// <summary>The dataset file.</summary>
public sealed record DatasetReport(string Name, string Sha256, string Layout, int Prompts, string AnswerRule);

/// <summary>What the server said of itself.</summary>
public sealed record ServerReport(long? KvBytesPerPosition, long? KvBytesPeak);

/// <summary>Both modes.</summary>
public sealed record ModesReport(ModeReport Text, ModeReport Latent);

/// <summary>One mode.</summary>
public sealed record ModeReport(
    RequestsReport Requests, Proportion Accuracy, TokensReport Tokens, Distribution TimeToFirstTokenMs, Distribution TimeToFirstAnswerTokenMs,
    Distribution InterTokenTimeMs, Distribution TimePerOutputTokenMs, Distribution EndToEndMs, ThroughputReport Throughput, KvReport KvCache);

/// <summary>How the requests of a mode ended.</summary>
public sealed record RequestsReport(int Attempted, int Succeeded, int Refused, int Failed, int TimedOut, int Interrupted, int EndedByLength);

/// <summary>Mean tokens per succeeded request with believable counts; null when there is none.</summary>
public sealed record TokensReport(
    int N, double? Prompt, double? Cached, double? Latent, double? Control, double? ReasoningText, double? Answer, double? Completion);

/// <summary>Rates over the time in which the mode ran.</summary>
public sealed record ThroughputReport(double Seconds, double? RequestsPerSecond, double? TokensPerSecond);

/// <summary>Keys and values in bytes: per request, and in use on the server while the mode ran.</summary>
public sealed record KvReport(Distribution BytesPerRequest, Distribution BytesInUse);

/// <summary>Accuracy on prompts that ran in both modes.</summary>
public sealed record AccuracyReport(int Pairs, int OnlyTextCorrect, int OnlyLatentCorrect, MeanEstimate LatentMinusText, double McnemarP);

/// <summary>One ratio.</summary>
public sealed record RatioReport(string Metric, int N, double? Text, double? Latent, double? Ratio, double? Low, double? High);

/// <summary>Text minus latent per pair.</summary>
public sealed record SavingsReport(
    string Basis, int Pairs, double? LatentTokens, double? TextEquivalentTokens, MeanEstimate TokensSaved, MeanEstimate FractionSaved,
    MeanEstimate StepsSaved, MeanEstimate SecondsSaved, MeanEstimate KvBytesSaved);

/// <summary>One reason why requests did not succeed.</summary>
public sealed record FailureReport(string Mode, string Kind, int? HttpStatus, string Message, int Count);

/// <summary>One response with contradictory counts.</summary>
public sealed record UsageProblemReport(string Mode, int Prompt, string Problem);

/// <summary>One prompt; Prompt is its line or entry in the dataset.</summary>
public sealed record PairReport(int Prompt, PairModeReport? Text, PairModeReport? Latent, PairSavingsReport? Savings);

/// <summary>One prompt in one mode.</summary>
public sealed record PairModeReport(
    string Outcome, bool Correct, PairTokensReport? Tokens, double? TimeToFirstTokenMs, double? TimeToFirstAnswerTokenMs,
    double? TimePerOutputTokenMs, double EndToEndMs);

/// <summary>Tokens of one response.</summary>
public sealed record PairTokensReport(int Prompt, int Cached, int Latent, int Control, int ReasoningText, int Answer, int Completion);

/// <summary>Text minus latent of one prompt.</summary>
public sealed record PairSavingsReport(string Basis, int TokensSaved, double SecondsSaved, long? KvBytesSaved);
