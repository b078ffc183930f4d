using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>The usage object as the server sent it, before it is believed; -1 for a count that is missing or no whole number.</summary>
/// <param name="Prompt"><c>prompt_tokens</c>.</param>
/// <param name="Completion"><c>completion_tokens</c>.</param>
/// <param name="Total"><c>total_tokens</c>.</param>
/// <param name="Cached"><c>prompt_tokens_details.cached_tokens</c>; 0 when absent.</param>
/// <param name="Reasoning"><c>completion_tokens_details.reasoning_tokens</c>.</param>
/// <param name="Latent"><c>completion_tokens_details.latent_tokens</c>.</param>
/// <param name="ReasoningText"><c>completion_tokens_details.reasoning_text_tokens</c>.</param>
/// <param name="Control"><c>completion_tokens_details.control_tokens</c>.</param>
public sealed record UsageReading(int Prompt, int Completion, int Total, int Cached, int Reasoning, int Latent, int ReasoningText, int Control)
{
    /// <summary>Reads a usage object.</summary>
    public static UsageReading Read(JsonElement usage)
    {
        usage.TryGetObject("prompt_tokens_details", out var prompt);
        usage.TryGetObject("completion_tokens_details", out var completion);
        return new UsageReading(
            usage.ReadInt("prompt_tokens") ?? -1,
            usage.ReadInt("completion_tokens") ?? -1,
            usage.ReadInt("total_tokens") ?? -1,
            prompt.ReadInt("cached_tokens") ?? 0,
            completion.ReadInt("reasoning_tokens") ?? -1,
            completion.ReadInt("latent_tokens") ?? -1,
            completion.ReadInt("reasoning_text_tokens") ?? -1,
            completion.ReadInt("control_tokens") ?? -1);
    }
}

/// <summary>Decides whether a server's counts can be believed, by their own sums and by what the stream carried.</summary>
internal static class UsageCheck
{
    /// <summary>The counts, or one sentence with both counts that says what is wrong with them.</summary>
    /// <param name="reading">What the server sent; null for nothing.</param>
    /// <param name="seen">What the client saw.</param>
    /// <param name="expectsLatentUsage">Whether the usage must split the tokens by kind.</param>
    public static (TokenUsage? Usage, string? Problem) Check(UsageReading? reading, TokenTimes seen, bool expectsLatentUsage)
    {
        if (reading is null)
        {
            return (null, "no usage chunk although stream_options.include_usage was set");
        }

        var problem = expectsLatentUsage || reading.Latent >= 0 ? FindTesseraProblem(reading, seen.Latents) : FindPlainProblem(reading);
        var pieces = seen.Latents + seen.ReasoningText + seen.Answer;
        if (problem is null && pieces > reading.Completion)
        {
            problem = $"usage: completion_tokens is {reading.Completion}, but the stream carried {pieces} pieces";
        }

        return problem is null ? (Believe(reading, seen), null) : (null, problem);
    }

    // Without our extension the reasoning is what the server says or, failing that, the pieces that came in its field.
    private static TokenUsage Believe(UsageReading reading, TokenTimes seen)
    {
        if (reading.Latent >= 0)
        {
            return new TokenUsage(reading.Prompt, reading.Cached, reading.Latent, reading.Control, reading.ReasoningText, reading.Completion - reading.Reasoning);
        }

        var reasoning = reading.Reasoning >= 0 ? reading.Reasoning : seen.ReasoningText;
        return new TokenUsage(reading.Prompt, reading.Cached, null, null, reasoning, reading.Completion - reasoning);
    }

    private static string? FindPlainProblem(UsageReading usage)
    {
        foreach (var (name, count) in new[] { ("prompt_tokens", usage.Prompt), ("completion_tokens", usage.Completion) })
        {
            if (count < 0)
            {
                return $"usage: {name} is missing or not a whole number";
            }
        }

        return usage.Total >= 0 && (long)usage.Prompt + usage.Completion != usage.Total ? TotalProblem(usage)
            : usage.Reasoning > usage.Completion ? ReasoningProblem(usage)
            : null;
    }

    private static string? FindTesseraProblem(UsageReading usage, int streamedLatents)
    {
        (string Name, int Count)[] counts =
        [
            ("prompt_tokens", usage.Prompt), ("completion_tokens", usage.Completion), ("total_tokens", usage.Total), ("cached_tokens", usage.Cached),
            ("reasoning_tokens", usage.Reasoning), ("latent_tokens", usage.Latent), ("reasoning_text_tokens", usage.ReasoningText),
            ("control_tokens", usage.Control),
        ];
        foreach (var (name, count) in counts)
        {
            if (count < 0)
            {
                return $"usage: {name} is missing or not a whole number";
            }
        }

        // Wide sums: absurd counts must not wrap round to a sum that fits.
        if ((long)usage.Prompt + usage.Completion != usage.Total)
        {
            return TotalProblem(usage);
        }

        var sum = (long)usage.Latent + usage.Control + usage.ReasoningText;
        if (sum != usage.Reasoning)
        {
            return $"usage: latent {usage.Latent} + control {usage.Control} + reasoning text {usage.ReasoningText} = {sum}, "
                + $"but reasoning_tokens is {usage.Reasoning}";
        }

        return usage.Reasoning > usage.Completion ? ReasoningProblem(usage)
            : streamedLatents == usage.Latent ? null
            : $"usage: latent_tokens is {usage.Latent}, but the stream carried {streamedLatents} latents";
    }

    private static string TotalProblem(UsageReading usage) =>
        $"usage: prompt_tokens {usage.Prompt} + completion_tokens {usage.Completion} = {(long)usage.Prompt + usage.Completion}, but total_tokens is {usage.Total}";

    private static string ReasoningProblem(UsageReading usage) =>
        $"usage: reasoning_tokens {usage.Reasoning} is more than completion_tokens {usage.Completion}";
}
