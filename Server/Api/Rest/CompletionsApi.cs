using System.Text.Json;
using Tessera.Engine.Requests;
using Tessera.Server.Hosting;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /v1/completions</c>: a prompt without a chat format around it, as text or as ids. The model reasons here too.</summary>
/// <param name="options">How many prompts a request may have.</param>
internal sealed class CompletionsApi(LiveOptions options) : IGenerationApi
{
    private const string Name = "prompt";
    private const string Expected = "expected a string or an array of token ids";

    private static readonly GenerationFieldNames Names = GenerationFieldNames.Rest with { Chat = Name, PromptIds = Name, Logprobs = "logprobs" };

    /// <inheritdoc/>
    public ParsedGeneration Read(JsonElement root, string requestId, List<FieldProblem> problems)
    {
        var fields = new FieldReader(problems);
        UnsupportedParameters.Check(root, fields);
        UnsupportedParameters.CheckCompletion(root, fields);
        var reasoning = ReasoningFields.Read(root, fields);
        var stream = StreamFields.Read(root, fields);
        var input = new GenerationInput
        {
            RequestId = requestId,
            MaxTokens = fields.Number(root, "max_tokens"),
            Logprobs = fields.Number(root, "logprobs"),
            N = fields.Number(root, "n"),
        };
        return new()
        {
            Model = fields.String(root, "model"),
            Input = reasoning.AddTo(SamplingFields.Read(root, fields, input)),
            Prompts = ReadPrompts(root, fields),
            Names = Names,
            Stream = stream.Stream,
            IncludeUsage = stream.IncludeUsage,
            ContinuousUsage = stream.ContinuousUsage,
            ReturnTokenIds = fields.Boolean(root, "return_token_ids") ?? false,
        };
    }

    /// <inheritdoc/>
    public string Operation => GenAiOperation.TextCompletion;

    /// <inheritdoc/>
    public ResponseWriter CreateWriter(ResponseContext context) => new CompletionsWriter(context);

    /// <summary>OpenAI takes text, ids, or an array of either.</summary>
    private List<GivenPrompt> ReadPrompts(JsonElement root, FieldReader fields)
    {
        if (!FieldReader.TryGet(root, Name, out var prompt))
        {
            fields.Report(Name, $"{Expected}, found nothing");
            return [];
        }
        var first = prompt.ValueKind == JsonValueKind.Array && prompt.GetArrayLength() > 0 ? prompt[0].ValueKind : JsonValueKind.Undefined;
        if (first is not (JsonValueKind.String or JsonValueKind.Array))
        {
            var isList = prompt.ValueKind == JsonValueKind.Array && first != JsonValueKind.Number;
            return isList ? Refuse($"{Expected}, found an array of other things") : ReadPrompt(prompt, Name, fields) is { } single ? [single] : [];
        }
        var (count, most) = (prompt.GetArrayLength(), options.Current.MaxPrompts);
        if (count > most)
        {
            return Refuse($"expected at most {most} prompts, found {count}");
        }
        var read = prompt.EnumerateArray().Select((item, index) => ReadPrompt(item, $"{Name}[{index}]", fields)).OfType<GivenPrompt>().ToList();
        return read.Count == count ? read : [];

        List<GivenPrompt> Refuse(string message)
        {
            fields.Report(Name, message);
            return [];
        }
    }

    private static GivenPrompt? ReadPrompt(JsonElement value, string name, FieldReader fields)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                return fields.TryText(value, name, out var text) ? new(name, text, null) : null;
            case JsonValueKind.Array:
                return SamplingFields.ReadIds(fields, value, name) is { } ids ? new(name, null, ids) : null;
            default:
                fields.Report(name, $"{Expected}, found {FieldReader.KindOf(value)}");
                return null;
        }
    }
}
