using System.Text.Json;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>
/// Reads the body of <c>POST /v1/chat/completions</c>. Fields it does not know are ignored, as OpenAI does, unless ignoring them would change the meaning.
/// </summary>
internal sealed class ChatRequestReader
{
    private readonly List<FieldProblem> _problems = [];
    private readonly FieldReader _fields;

    private ChatRequestReader() => _fields = new FieldReader(_problems);

    /// <summary>Reads a body.</summary>
    /// <param name="root">The JSON object.</param>
    /// <param name="requestId">Id of the request.</param>
    /// <param name="problems">Every problem of type or place; ranges are the engine's to check.</param>
    public static ChatRequest Read(JsonElement root, string requestId, out List<FieldProblem> problems)
    {
        var reader = new ChatRequestReader();
        problems = reader._problems;
        return reader.ReadBody(root, requestId);
    }

    private ChatRequest ReadBody(JsonElement root, string requestId)
    {
        UnsupportedParameters.Check(root, _fields);
        var reasoning = ReasoningFields.Read(root, _fields);
        var maxTokens = ReadMaxTokens(root, out var maxTokensName);
        var input = new GenerationInput
        {
            RequestId = requestId,
            Chat = new MessagesReader(_fields).Read(root),
            MaxTokens = maxTokens,
            Mode = reasoning.Mode,
            LatentBudget = reasoning.LatentBudget,
            ThinkingBudget = reasoning.ThinkingBudget,
            Explain = reasoning.Explain,
            Temperature = _fields.Number(root, "temperature"),
            TopP = _fields.Number(root, "top_p"),
            TopK = _fields.Number(root, "top_k"),
            Seed = _fields.Number(root, "seed"),
            Stop = ReadStop(root),
        };
        var stream = _fields.Boolean(root, "stream") ?? false;
        return new(_fields.String(root, "model"), input, GenerationFieldNames.Rest with { MaxTokens = maxTokensName }, stream, ReadIncludeUsage(root, stream));
    }

    // Two names for one limit: the older one, and the one that says reasoning counts too.
    private double? ReadMaxTokens(JsonElement root, out string name)
    {
        var older = _fields.Number(root, "max_tokens");
        var newer = _fields.Number(root, "max_completion_tokens");
        if (older is not null && newer is not null && !older.Value.Equals(newer.Value))
        {
            _fields.Report("max_completion_tokens", $"expected the same value as max_tokens ({older}), found {newer}");
        }
        name = newer is null ? "max_tokens" : "max_completion_tokens";
        return newer ?? older;
    }

    private List<string>? ReadStop(JsonElement root)
    {
        if (!FieldReader.TryGet(root, "stop", out var stop))
        {
            return null;
        }
        if (stop.ValueKind == JsonValueKind.String)
        {
            return _fields.TryText(stop, "stop", out var single) ? [single] : null;
        }
        if (stop.ValueKind != JsonValueKind.Array)
        {
            _fields.Report("stop", $"expected a string or an array of strings, found {FieldReader.KindOf(stop)}");
            return null;
        }

        var texts = new List<string>();
        foreach (var (index, element) in stop.EnumerateArray().Index())
        {
            if (_fields.TryText(element, $"stop[{index}]", out var text))
            {
                texts.Add(text);
            }
        }
        return texts;
    }

    private bool ReadIncludeUsage(JsonElement root, bool stream)
    {
        if (_fields.Object(root, "stream_options") is not { } options)
        {
            return false;
        }
        if (!stream)
        {
            _fields.Report("stream_options", "expected only together with \"stream\": true, found without it");
        }
        return _fields.Boolean(options, "include_usage", "stream_options.include_usage") ?? false;
    }
}
