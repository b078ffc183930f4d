using System.Text.Json;

namespace Tessera.Server.Api.Rest;

/// <summary>Reasoning fields of a request, before range checks; null = not given.</summary>
/// <param name="Mode">auto, latent, text, none, or what the client wrote instead.</param>
/// <param name="LatentBudget">Latents at most.</param>
/// <param name="ThinkingBudget">Reasoning tokens at most.</param>
/// <param name="Explain">Whether latents get hints.</param>
internal sealed record ReasoningFields(string? Mode, double? LatentBudget, double? ThinkingBudget, bool? Explain)
{
    private const string Field = "reasoning";
    private static readonly string[] Known = ["mode", "latent_budget", "thinking_budget", "explain"];

    // Fields of the top level that people put inside "reasoning".
    private static readonly string[] TopLevel =
        ["model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "seed", "stop", "stream"];

    /// <summary>Reads <c>reasoning</c> and <c>reasoning_effort</c>, and reports reasoning fields in the wrong place.</summary>
    public static ReasoningFields Read(JsonElement root, FieldReader fields)
    {
        foreach (var name in Known.Where(name => FieldReader.TryGet(root, name, out _)))
        {
            fields.Report(name, $"belongs inside reasoning: {{\"reasoning\": {{\"{name}\": ...}}}}");
        }
        var effort = ReadEffort(root, fields);
        if (fields.Object(root, Field) is not { } reasoning)
        {
            return new(effort, null, null, null);
        }

        ReportUnknown(reasoning, fields);
        var mode = fields.String(reasoning, "mode", $"{Field}.mode");
        if (mode is not null && effort is not null && mode != effort)
        {
            var shown = Echo.Shorten(mode);
            fields.Report("reasoning_effort", $"stands for reasoning.mode '{effort}', found together with reasoning.mode '{shown}'; give one of them");
        }
        return new(
            mode ?? effort,
            fields.Number(reasoning, "latent_budget", $"{Field}.latent_budget"),
            fields.Number(reasoning, "thinking_budget", $"{Field}.thinking_budget"),
            fields.Boolean(reasoning, "explain", $"{Field}.explain"));
    }

    /// <summary>The mode that OpenAI's effort stands for: more effort spells more out.</summary>
    private static string? ReadEffort(JsonElement root, FieldReader fields)
    {
        const string Name = "reasoning_effort";
        var effort = fields.String(root, Name);
        switch (effort)
        {
            case null:
                return null;
            case "none":
                return "none";
            case "low":
                return "latent";
            case "medium":
                return "auto";
            case "high":
                return "text";
            default:
                fields.Report(Name, $"expected none, low, medium or high, found '{Echo.Shorten(effort)}'");
                return null;
        }
    }

    private static void ReportUnknown(JsonElement reasoning, FieldReader fields)
    {
        foreach (var name in reasoning.EnumerateObject().Select(p => p.Name).Where(name => !Known.Contains(name)).Distinct())
        {
            var shown = Echo.Shorten(name);
            fields.Report($"{Field}.{shown}", name switch
            {
                "effort" => "belongs at the top level, as reasoning_effort",
                _ when TopLevel.Contains(name) => "belongs at the top level",
                _ => $"expected only {string.Join(", ", Known)} inside reasoning, found '{shown}'",
            });
        }
    }
}
