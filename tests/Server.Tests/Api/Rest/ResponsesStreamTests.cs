using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class ResponsesStreamTests
{
    private const string Path = "/v1/responses";

    [Fact]
    public async Task Stream_LatentsThenText_HasEveryEventInOrder()
    {
        using var gate = new StepGate();
        await using var server = await TestServer.StartAsync(codebook: new ScriptedCodebook { BeforeDecode = _ => gate.Pass() });
        // The hint comes once the answer has begun, whatever the machine does: the reasoning item must wait for it.
        server.Runner.BeforeRun = plan => { if (plan.Decode.Count > 0 && IsAnswering(server, plan.Decode[0].Ids.Span)) { gate.Open(); } };

        var events = await StreamAsync(server, "\"reasoning\":{\"latent_budget\":1,\"summary\":\"auto\"}");

        string[] expected =
        [
            "response.created", "response.in_progress", "response.output_item.added", "response.latent_reasoning.delta",
            "response.content_part.added", "response.reasoning_text.delta",
            "response.reasoning_text.done", "response.content_part.done",
            "response.output_item.added", "response.content_part.added", "response.output_text.delta",
            "response.latent_reasoning.delta", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.output_item.done",
            "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
        ];
        Assert.Equal(expected.Order(), events.Select(Type).Distinct().Concat(Repeated(expected)).Order());
        Assert.Equal(Enumerable.Range(0, events.Count), events.Select(happened => (int)happened["sequence_number"]!));
        AssertInOrder(events, "response.output_item.added", "response.latent_reasoning.delta", "response.reasoning_text.delta", "response.reasoning_text.done", "response.output_text.delta");
        AssertInOrder(events, "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "response.reasoning_summary_part.done");
    }

    [Theory]
    [InlineData("\"reasoning\":{\"mode\":\"latent\"}")]
    [InlineData("\"reasoning\":{\"mode\":\"text\"}")]
    [InlineData("\"reasoning\":{\"mode\":\"none\"}")]
    [InlineData("\"reasoning\":{\"latent_budget\":1,\"summary\":\"detailed\"}")]
    [InlineData("\"reasoning\":{\"mode\":\"text\"},\"max_output_tokens\":3")]
    [InlineData("\"reasoning\":{\"mode\":\"latent\",\"explain\":false}")]
    public async Task Stream_AnyMode_AddsUpToTheWholeResponse(string fields)
    {
        await using var server = await TestServer.StartAsync();
        var whole = await server.AnswerAsync(Path, $$"""{"input":"{{TestServer.Prompt}}",{{fields}}}""");

        var events = await StreamAsync(server, fields);

        var final = events[^1]["response"]!;
        Assert.Equal($"response.{final["status"]}", Type(events[^1]));
        Assert.Equal(Comparable(whole["output"]!, whole), Comparable(final["output"]!, final));
        Assert.Equal(Usage(whole), Usage(final));
        Assert.Equal((string?)final["id"], (string?)events[0]["response"]!["id"]);

        // Every item that was added was done, once, as it stands in the end.
        var done = events.Where(happened => Type(happened) == "response.output_item.done").OrderBy(happened => (int)happened["output_index"]!).ToList();
        Assert.Equal(final["output"]!.AsArray().Select(item => item!.ToJsonString()), done.Select(happened => happened["item"]!.ToJsonString()));
        Assert.Equal(done.Count, events.Count(happened => Type(happened) == "response.output_item.added"));
        foreach (var item in final["output"]!.AsArray())
        {
            var deltas = events.Where(happened => (string?)happened["item_id"] == (string?)item!["id"] && Type(happened) is "response.output_text.delta" or "response.reasoning_text.delta");
            Assert.Equal((string?)item!["content"]?[0]?["text"] ?? "", string.Concat(deltas.Where(d => (string?)d["item_id"] == (string?)item["id"]).Select(d => (string?)d["delta"])));
        }
    }

    [Fact]
    public async Task Stream_StepFails_EndsWithFailedAndAnErrorEvent()
    {
        await using var server = await TestServer.StartAsync();
        server.Runner.BeforeRun = _ => throw new InvalidOperationException("secret of the runtime");

        var events = await StreamAsync(server, "\"reasoning\":{\"mode\":\"text\"}");

        Assert.Equal(["response.created", "response.in_progress", "response.failed", "error"], events.Select(Type));
        Assert.Equal(("failed", "internal_error"), ((string?)events[2]["response"]!["status"], (string?)events[2]["response"]!["error"]!["code"]));
        Assert.Equal(("internal_error", 3), ((string?)events[3]["code"], (int)events[3]["sequence_number"]!));
        Assert.DoesNotContain("secret", string.Concat(events.Select(happened => happened.ToJsonString())), StringComparison.Ordinal);
    }

    private static bool IsAnswering(TestServer server, ReadOnlySpan<int> ids) => ids.Contains(server.Package.Vocabulary.EndThinkId);

    private static IEnumerable<string> Repeated(string[] names) => names.GroupBy(name => name).SelectMany(group => group.Skip(1));

    private static string Type(JsonNode happened) => (string)happened["type"]!;

    private static void AssertInOrder(List<JsonNode> events, params string[] types)
    {
        var places = types.Select(type => events.FindIndex(happened => Type(happened) == type)).ToList();
        Assert.DoesNotContain(-1, places);
        Assert.Equal(places.Order(), places);
    }

    // Ids are each response's own.
    private static string Comparable(JsonNode output, JsonNode response) =>
        output.ToJsonString().Replace(((string)response["id"]!)["resp_".Length..], "ID", StringComparison.Ordinal);

    private static string Usage(JsonNode response)
    {
        var usage = response["usage"]!.DeepClone();
        usage["latent_savings"]!.AsObject().Remove("seconds_saved");
        usage.AsObject().Remove("input_tokens_details");
        return usage.ToJsonString();
    }

    private static async Task<List<JsonNode>> StreamAsync(TestServer server, string fields)
    {
        var events = await server.EventsAsync(Path, $$"""{"input":"{{TestServer.Prompt}}","stream":true,{{fields}}}""");
        Assert.All(events, happened => Assert.Equal(happened.Type, (string?)JsonNode.Parse(happened.Data)!["type"]));
        return [.. events.Select(happened => JsonNode.Parse(happened.Data)!)];
    }
}
