using System.Text.Json;
using Tessera.Engine.Requests;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary><c>POST /v1/chat/completions</c>. Fields it does not know are ignored, as OpenAI does, unless ignoring them would change the meaning.</summary>
internal sealed class ChatApi : IGenerationApi
{
    /// <inheritdoc/>
    public ParsedGeneration Read(JsonElement root, string requestId, List<FieldProblem> problems)
    {
        var fields = new FieldReader(problems);
        UnsupportedParameters.Check(root, fields);
        UnsupportedParameters.CheckChat(root, fields);
        var reasoning = ReasoningFields.Read(root, fields);
        var maxTokens = ReadMaxTokens(root, fields, out var maxTokensName);
        var stream = StreamFields.Read(root, fields);
        var input = new GenerationInput
        {
            RequestId = requestId,
            Chat = new MessagesReader(fields).Read(root),
            MaxTokens = maxTokens,
            Logprobs = ReadLogprobs(root, fields),
            N = fields.Number(root, "n"),
        };
        return new()
        {
            Model = fields.String(root, "model"),
            Input = reasoning.AddTo(SamplingFields.Read(root, fields, input)),
            Names = GenerationFieldNames.Rest with { MaxTokens = maxTokensName },
            Stream = stream.Stream,
            IncludeUsage = stream.IncludeUsage,
            ContinuousUsage = stream.ContinuousUsage,
            ReturnTokenIds = fields.Boolean(root, "return_token_ids") ?? false,
        };
    }

    /// <inheritdoc/>
    public string Operation => GenAiOperation.Chat;

    /// <inheritdoc/>
    public ResponseWriter CreateWriter(ResponseContext context) => new ChatWriter(context);

    // Two names for one limit: the older one, and the one that says reasoning counts too.
    private static double? ReadMaxTokens(JsonElement root, FieldReader fields, out string name)
    {
        var older = fields.Number(root, "max_tokens");
        var newer = fields.Number(root, "max_completion_tokens");
        if (older is not null && newer is not null && !older.Value.Equals(newer.Value))
        {
            fields.Report("max_completion_tokens", $"expected the same value as max_tokens ({older}), found {newer}");
        }
        name = newer is null ? "max_tokens" : "max_completion_tokens";
        return newer ?? older;
    }

    private static double? ReadLogprobs(JsonElement root, FieldReader fields)
    {
        var wanted = fields.Boolean(root, "logprobs") ?? false;
        var top = fields.Number(root, "top_logprobs");
        if (wanted)
        {
            return top ?? 0;
        }
        if (top is not null and not 0)
        {
            fields.Report("top_logprobs", "expected only together with \"logprobs\": true, found without it");
        }
        return null;
    }
}
