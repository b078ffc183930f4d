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

    /// <summary>Checks the identities that every response promises; null when all hold, else one sentence with both counts.</summary>
    /// <param name="streamedLatents">Latents that the client saw in the stream.</param>
    public string? FindProblem(int streamedLatents)
    {
        (string Name, int Count)[] counts =
        [
            ("prompt_tokens", Prompt), ("completion_tokens", Completion), ("total_tokens", Total), ("cached_tokens", Cached),
            ("reasoning_tokens", Reasoning), ("latent_tokens", Latent), ("reasoning_text_tokens", ReasoningText), ("control_tokens", Control),
        ];
        foreach (var (name, count) in counts)
        {
            if (count < 0)
            {
                return $"usage: {name} is missing or not a whole number";
            }
        }

        // Wide sums: absurd counts must not wrap round to a sum that fits.
        if ((long)Prompt + Completion != Total)
        {
            return $"usage: prompt_tokens {Prompt} + completion_tokens {Completion} = {(long)Prompt + Completion}, but total_tokens is {Total}";
        }

        if ((long)Latent + Control + ReasoningText != Reasoning)
        {
            var sum = (long)Latent + Control + ReasoningText;
            return $"usage: latent {Latent} + control {Control} + reasoning text {ReasoningText} = {sum}, but reasoning_tokens is {Reasoning}";
        }

        if (Reasoning > Completion)
        {
            return $"usage: reasoning_tokens {Reasoning} is more than completion_tokens {Completion}";
        }

        return streamedLatents == Latent ? null : $"usage: latent_tokens is {Latent}, but the stream carried {streamedLatents} latents";
    }

    /// <summary>The counts; only when <see cref="FindProblem"/> found nothing.</summary>
    public TokenUsage ToTokenUsage() => new(Prompt, Cached, Latent, Control, ReasoningText, Completion - Reasoning);
}
