using System.Globalization;
using System.Text.Json.Nodes;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>What a response says, however it came: comparable text, one line per kind.</summary>
internal sealed record Said(string Codes, string Hints, string Reasoning, string Answer, string FinishReason, string Usage, string Savings)
{
    /// <summary>From the body of a plain REST answer.</summary>
    public static Said FromCompletion(JsonNode completion)
    {
        var choice = completion["choices"]![0]!;
        var message = choice["message"]!;
        var trace = new TraceText();
        foreach (var (s, span) in (message["latent_reasoning"]?["spans"]!.AsArray() ?? []).Index())
        {
            foreach (var (i, code) in span!["codes"]!.AsArray().Index())
            {
                trace.AddCode(s, i, code!);
                trace.AddHint(s, i, span["hints"]?[i]);
            }
        }

        var usage = completion["usage"]!;
        return trace.ToSaid(
            (string?)message["reasoning"] ?? "", (string)message["content"]!, (string)choice["finish_reason"]!,
            RestUsage(usage), SavingsLine(usage["latent_savings"]!));
    }

    /// <summary>From the data of server-sent events, without <c>[DONE]</c>.</summary>
    public static Said FromChunks(IReadOnlyList<JsonNode> chunks)
    {
        var trace = new TraceText();
        var (reasoning, answer, finish) = ("", "", "");
        foreach (var choice in chunks.SelectMany(chunk => chunk["choices"]!.AsArray()))
        {
            var delta = choice!["delta"]!;
            reasoning += (string?)delta["reasoning"];
            answer += (string?)delta["content"];
            finish = (string?)choice["finish_reason"] ?? finish;
            trace.AddDelta(delta["latent_reasoning"]);
        }

        var usage = chunks.Single(chunk => chunk["usage"] is not null)["usage"]!;
        return trace.ToSaid(reasoning, answer, finish, RestUsage(usage), SavingsLine(usage["latent_savings"]!));
    }

    /// <summary>From the messages of a gRPC stream.</summary>
    public static Said FromGrpc(IReadOnlyList<JsonNode> messages)
    {
        var trace = new TraceText();
        foreach (var latent in messages.Select(message => message["latent"]))
        {
            trace.AddDelta(latent);
        }

        var finished = messages[^1]["finished"]!;
        var usage = finished["usage"]!;
        return trace.ToSaid(
            string.Concat(messages.Select(message => (string?)message["reasoning"]?["text"])),
            string.Concat(messages.Select(message => (string?)message["answer"]?["text"])),
            (string)finished["reason"]!,
            Line(
                usage["prompt_tokens"], usage["completion_tokens"],
                usage["latent_tokens"], usage["control_tokens"], usage["reasoning_text_tokens"]),
            SavingsLine(finished["savings"]!));
    }

    // Cached tokens are left out: they are the same prompt's second time.
    private static string RestUsage(JsonNode usage)
    {
        var details = usage["completion_tokens_details"]!;
        return Line(
            usage["prompt_tokens"], usage["completion_tokens"],
            details["latent_tokens"], details["control_tokens"], details["reasoning_text_tokens"]);
    }

    // Seconds are left out: two runs of one prompt do not take the same time.
    private static string SavingsLine(JsonNode savings) => Line(
        savings["latent_tokens"], savings["text_equivalent_tokens"], savings["tokens_saved"],
        savings["fraction_saved"], savings["steps_saved"], savings["kv_bytes_saved"])
        + " " + (string)savings["basis"]!;

    private static string Line(params JsonNode?[] numbers) =>
        string.Join(' ', numbers.Select(number => ((double)number!).ToString("R", CultureInfo.InvariantCulture)));

    /// <summary>Codes and hints by place, whatever order they come in.</summary>
    private sealed class TraceText
    {
        private readonly SortedDictionary<(int Span, int Index), string> _codes = [];
        private readonly SortedDictionary<(int Span, int Index), string> _hints = [];

        public void AddCode(int span, int index, JsonNode code) => _codes.Add((span, index), code.ToJsonString());

        public void AddHint(int span, int index, JsonNode? hint)
        {
            if (hint is not null)
            {
                _hints.Add((span, index), (string)hint!);
            }
        }

        public void AddDelta(JsonNode? delta)
        {
            if (delta is null)
            {
                return;
            }

            var (span, index) = ((int)delta["span"]!, (int)delta["index"]!);
            if (delta["hint"] is { } hint)
            {
                AddHint(span, index, hint);
            }
            else
            {
                AddCode(span, index, delta["codes"]!.AsArray().Single()!);
            }
        }

        public Said ToSaid(string reasoning, string answer, string finishReason, string usage, string savings) =>
            new(Join(_codes), Join(_hints), reasoning, answer, finishReason, usage, savings);

        private static string Join(SortedDictionary<(int Span, int Index), string> parts) =>
            string.Join(" | ", parts.Select(part => $"{part.Key.Span}.{part.Key.Index} {part.Value}"));
    }
}
