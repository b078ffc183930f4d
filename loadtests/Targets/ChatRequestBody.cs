using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Tessera.LoadTests.Targets;

/// <summary>The JSON body of a streamed chat completion.</summary>
internal static class ChatRequestBody
{
    /// <summary>Greedy, so that a rerun gives the same; without hints, whose decoding would run beside what is measured.</summary>
    public static ByteArrayContent Create(TargetRequest request)
    {
        var body = new JsonObject
        {
            ["model"] = request.Model,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = request.Prompt }),
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
            ["temperature"] = 0,
        };
        if (request.Mode != ReasoningMode.Plain)
        {
            body["reasoning"] = CreateReasoning(request);
        }

        if (request.CacheSalt is { } salt)
        {
            body["cache_salt"] = salt;
        }

        if (request.MaxTokens is { } maxTokens)
        {
            body["max_tokens"] = maxTokens;
        }

        var content = new ByteArrayContent(System.Text.Encoding.UTF8.GetBytes(body.ToJsonString()));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    private static JsonObject CreateReasoning(TargetRequest request)
    {
        var reasoning = new JsonObject { ["mode"] = request.Mode.Name(), ["explain"] = false };
        if (request.SentLatentBudget is { } budget)
        {
            reasoning["latent_budget"] = budget;
        }

        return reasoning;
    }
}
