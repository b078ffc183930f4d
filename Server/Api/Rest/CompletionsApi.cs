using System.Text.Json;
using Tessera.Engine.Requests;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /v1/completions</c>: a prompt without a chat format around it, as text or as ids. The model reasons here too.</summary>
internal sealed class CompletionsApi : IGenerationApi
{
    private static readonly GenerationFieldNames Names = GenerationFieldNames.Rest with { Chat = "prompt", PromptIds = "prompt", Logprobs = "logprobs" };

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
            Input = reasoning.AddTo(SamplingFields.Read(root, fields, AddPrompt(root, fields, input))),
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

    // OpenAI takes text, ids, or an array of either; several prompts in one request are several requests here.
    private static GenerationInput AddPrompt(JsonElement root, FieldReader fields, GenerationInput input)
    {
        const string Name = "prompt";
        if (!FieldReader.TryGet(root, Name, out var prompt))
        {
            fields.Report(Name, "expected a string or an array of token ids, found nothing");
            return input;
        }
        var first = prompt.ValueKind == JsonValueKind.Array && prompt.GetArrayLength() > 0 ? prompt[0].ValueKind : JsonValueKind.Undefined;
        if (first == JsonValueKind.Number)
        {
            return input with { PromptIds = SamplingFields.ReadIds(root, fields, Name) };
        }
        if (first is JsonValueKind.String or JsonValueKind.Array)
        {
            if (prompt.GetArrayLength() > 1)
            {
                fields.Report(Name, $"expected one prompt, found {prompt.GetArrayLength()}: send one request for each");
                return input;
            }
            prompt = prompt[0];
        }
        if (prompt.ValueKind == JsonValueKind.String)
        {
            return fields.TryText(prompt, Name, out var text) ? input with { Prompt = text } : input;
        }
        fields.Report(Name, $"expected a string or an array of token ids, found {(prompt.ValueKind == JsonValueKind.Array ? "an array of other things" : FieldReader.KindOf(prompt))}");
        return input;
    }
}
