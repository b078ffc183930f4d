using System.Text.Json;
using Tessera.Engine.Requests;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /v1/responses</c>, without state: nothing is stored, so nothing stored can be asked for.</summary>
internal sealed class ResponsesApi : IGenerationApi
{
    private const string LogprobsInclude = "message.output_text.logprobs";

    private static readonly GenerationFieldNames Names =
        GenerationFieldNames.Rest with { Prompt = "input", Chat = "input", PromptIds = "input", MaxTokens = "max_output_tokens" };

    /// <inheritdoc/>
    public ParsedGeneration Read(JsonElement root, string requestId, List<FieldProblem> problems)
    {
        var fields = new FieldReader(problems);
        UnsupportedParameters.Check(root, fields);
        UnsupportedParameters.CheckResponses(root, fields);
        var reasoning = ReasoningFields.ReadForResponses(root, fields, out var effort, out var summary);
        var withLogprobs = ReadInclude(root, fields);
        var top = fields.Number(root, "top_logprobs");
        if (top is not null and not 0 && !withLogprobs)
        {
            fields.Report("top_logprobs", $"expected only together with \"include\": [\"{LogprobsInclude}\"], found without it");
        }
        var instructions = fields.String(root, "instructions");
        var input = new GenerationInput
        {
            RequestId = requestId,
            Chat = new InputItemsReader(fields).Read(root, instructions),
            MaxTokens = fields.Number(root, "max_output_tokens"),
            Logprobs = withLogprobs ? top ?? 0 : null,
        };
        return new()
        {
            Model = fields.String(root, "model"),
            Input = reasoning.AddTo(SamplingFields.Read(root, fields, input)),
            Names = Names,
            Stream = fields.Boolean(root, "stream") ?? false,
            ReturnTokenIds = fields.Boolean(root, "return_token_ids") ?? false,
            Echo = new(
                instructions, effort, summary, fields.Object(root, "metadata")?.Clone(), fields.Boolean(root, "parallel_tool_calls") ?? true,
                fields.String(root, "user"), withLogprobs),
        };
    }

    /// <inheritdoc/>
    public string Operation => GenAiOperation.Chat;

    /// <inheritdoc/>
    public ResponseWriter CreateWriter(ResponseContext context) => new ResponsesWriter(context);

    private static bool ReadInclude(JsonElement root, FieldReader fields)
    {
        var include = fields.Strings(root, "include") ?? [];
        foreach (var (index, name) in include.Index())
        {
            if (name != LogprobsInclude)
            {
                fields.Report($"include[{index}]", $"expected '{LogprobsInclude}', found '{Echo.Shorten(name)}'");
            }
        }
        return include.Count > 0;
    }
}
