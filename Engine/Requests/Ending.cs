namespace Tessera.Engine.Requests;

/// <summary>How a sequence ended, before its savings are known.</summary>
/// <param name="Reason">Why.</param>
/// <param name="Usage">Tokens by kind.</param>
/// <param name="LatentDelimiterCount">Delimiters of latent spans that were generated.</param>
/// <param name="Timings">Where the time went.</param>
/// <param name="Error">A sentence for the client.</param>
internal sealed record Ending(FinishReason Reason, Usage Usage, int LatentDelimiterCount, Timings Timings, string? Error = null)
{
    /// <summary>Latent spans that were opened: a span has two delimiters, and the last one may have been cut before its second.</summary>
    public int LatentSpanCount => (LatentDelimiterCount + 1) / 2;

    /// <summary>The ending of a request of several responses: the prompt counted once, and the reason that a client must know about first.</summary>
    public static Ending Sum(IReadOnlyList<Ending> endings)
    {
        var usage = endings[0].Usage;
        foreach (var other in endings.Skip(1).Select(ending => ending.Usage))
        {
            usage = usage with
            {
                LatentTokens = usage.LatentTokens + other.LatentTokens,
                ControlTokens = usage.ControlTokens + other.ControlTokens,
                ReasoningTextTokens = usage.ReasoningTextTokens + other.ReasoningTextTokens,
                AnswerTokens = usage.AnswerTokens + other.AnswerTokens,
            };
        }

        var worst = endings.MaxBy(ending => Weight(ending.Reason))!;
        return new Ending(worst.Reason, usage, endings.Sum(ending => ending.LatentDelimiterCount), Sum([.. endings.Select(ending => ending.Timings)]), worst.Error);
    }

    // The first token of any response, the last one's end, and the mean time between tokens.
    private static Timings Sum(IReadOnlyList<Timings> timings) => new(
        timings.Min(item => item.Queue),
        timings.Min(item => item.Prefill),
        timings.Min(item => item.TimeToFirstToken),
        timings.Aggregate(TimeSpan.Zero, (sum, item) => sum + item.InterTokenTime) / timings.Count,
        timings.Max(item => item.Total));

    private static int Weight(FinishReason reason) => reason switch
    {
        FinishReason.Error => 5,
        FinishReason.Shutdown => 4,
        FinishReason.Deadline => 3,
        FinishReason.Cancelled => 2,
        FinishReason.Length => 1,
        _ => 0,
    };
}
