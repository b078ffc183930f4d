using System.Text.Json;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>Reasoning fields of a request, before range checks; null = not given.</summary>
/// <param name="Mode">auto, latent, text, none, or what the client wrote instead.</param>
/// <param name="LatentBudget">Latents at most.</param>
/// <param name="ThinkingBudget">Reasoning tokens at most.</param>
/// <param name="Explain">Whether latents get hints.</param>
internal sealed record ReasoningFields(string? Mode, double? LatentBudget, double? ThinkingBudget, bool? Explain)
{
    private const string Field = "reasoning";
    private const string EffortField = "reasoning_effort";
    private static readonly string[] Known = ["mode", "latent_budget", "thinking_budget", "explain"];

    // Inside of "reasoning" the responses route has two fields of OpenAI's.
    private static readonly string[] KnownInResponses = [.. Known, "effort", "summary"];

    // Names that other servers give to the thinking budget.
    private static readonly string[] OtherBudgets = ["thinking_token_budget", "thinking_budget_tokens", "reasoning_budget_tokens"];

    // Fields of the top level that people put inside "reasoning".
    private static readonly string[] TopLevel =
        ["model", "messages", "input", "max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "top_k", "seed", "stop", "stream"];

    /// <summary>Reads <c>reasoning</c> and <c>reasoning_effort</c>, and reports reasoning fields in the wrong place.</summary>
    public static ReasoningFields Read(JsonElement root, FieldReader fields)
    {
        ReportMisplaced(root, fields);
        var effort = ModeOf(fields.String(root, EffortField), EffortField, fields);
        if (fields.Object(root, Field) is not { } reasoning)
        {
            return new(effort, null, null, null);
        }
        ReportUnknown(reasoning, Known, fields);
        return ReadInside(reasoning, effort, EffortField, fields);
    }

    /// <summary>Reads <c>reasoning</c> as the responses route has it: with effort and summary inside.</summary>
    public static ReasoningFields ReadForResponses(JsonElement root, FieldReader fields, out string? effort, out string? summary)
    {
        (effort, summary) = (null, null);
        ReportMisplaced(root, fields);
        if (FieldReader.TryGet(root, EffortField, out _))
        {
            fields.Report(EffortField, "belongs inside reasoning, as effort");
        }
        if (fields.Object(root, Field) is not { } reasoning)
        {
            return new(null, null, null, null);
        }
        ReportUnknown(reasoning, KnownInResponses, fields);
        effort = fields.String(reasoning, "effort", $"{Field}.effort");
        summary = fields.String(reasoning, "summary", $"{Field}.summary");
        if (summary is not (null or "auto" or "concise" or "detailed"))
        {
            fields.Report($"{Field}.summary", $"expected auto, concise or detailed, found '{Echo.Shorten(summary)}'");
        }
        return ReadInside(reasoning, ModeOf(effort, $"{Field}.effort", fields), $"{Field}.effort", fields);
    }

    /// <summary>Adds the fields to an input.</summary>
    public GenerationInput AddTo(GenerationInput input) =>
        input with { Mode = Mode, LatentBudget = LatentBudget, ThinkingBudget = ThinkingBudget, Explain = Explain };

    private static ReasoningFields ReadInside(JsonElement reasoning, string? effort, string effortField, FieldReader fields)
    {
        var mode = fields.String(reasoning, "mode", $"{Field}.mode");
        if (mode is not null && effort is not null && mode != effort)
        {
            var shown = Echo.Shorten(mode);
            fields.Report(effortField, $"stands for reasoning.mode '{effort}', found together with reasoning.mode '{shown}'; give one of them");
        }
        return new(
            mode ?? effort,
            fields.Number(reasoning, "latent_budget", $"{Field}.latent_budget"),
            fields.Number(reasoning, "thinking_budget", $"{Field}.thinking_budget"),
            fields.Boolean(reasoning, "explain", $"{Field}.explain"));
    }

    /// <summary>The mode that OpenAI's effort stands for: more effort spells more out.</summary>
    private static string? ModeOf(string? effort, string field, FieldReader fields)
    {
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
                fields.Report(field, $"expected none, low, medium or high, found '{Echo.Shorten(effort)}'");
                return null;
        }
    }

    private static void ReportMisplaced(JsonElement root, FieldReader fields)
    {
        foreach (var name in Known.Where(name => FieldReader.TryGet(root, name, out _)))
        {
            fields.Report(name, $"belongs inside reasoning: {{\"reasoning\": {{\"{name}\": ...}}}}");
        }
        foreach (var name in OtherBudgets.Where(name => FieldReader.TryGet(root, name, out _)))
        {
            fields.Report(name, "belongs inside reasoning, as thinking_budget: {\"reasoning\": {\"thinking_budget\": ...}}");
        }
    }

    private static void ReportUnknown(JsonElement reasoning, string[] known, FieldReader fields)
    {
        foreach (var name in reasoning.EnumerateObject().Select(p => p.Name).Where(name => !known.Contains(name)).Distinct())
        {
            var shown = Echo.Shorten(name);
            fields.Report($"{Field}.{shown}", name switch
            {
                "effort" => "belongs at the top level, as reasoning_effort",
                _ when TopLevel.Contains(name) => "belongs at the top level",
                _ => $"expected only {string.Join(", ", known)} inside reasoning, found '{shown}'",
            });
        }
    }
}
