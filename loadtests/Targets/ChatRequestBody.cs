using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Tessera.LoadTests.Targets;

/// <summary>The JSON body of a streamed chat completion.</summary>
internal static class ChatRequestBody
{
    /// <summary>Greedy, so that a rerun gives the same; without hints, whose decoding would run beside what is measured.</summary>
    public static ByteArrayContent Create(TargetRequest request)
    {
        var reasoning = new JsonObject { ["mode"] = request.Mode == ReasoningMode.Latent ? "latent" : "text", ["explain"] = false };
        if (request is { Mode: ReasoningMode.Latent, LatentBudget: { } budget })
        {
            reasoning["latent_budget"] = budget;
        }

        var body = new JsonObject
        {
            ["model"] = request.Model,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = request.Prompt }),
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
            ["temperature"] = 0,
            ["reasoning"] = reasoning,
        };
        if (request.MaxTokens is { } maxTokens)
        {
            body["max_tokens"] = maxTokens;
        }

        var content = new ByteArrayContent(System.Text.Encoding.UTF8.GetBytes(body.ToJsonString()));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }
}
