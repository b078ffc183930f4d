using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>Ids, usage and log probabilities of the same response must agree, whichever way it is sent.</summary>
public sealed class TokenIdsAndUsageTests(TokenIdsAndUsageTests.Shared shared) : IClassFixture<TokenIdsAndUsageTests.Shared>
{
    private readonly TestServer _server = shared.Server;

    [Theory]
    [InlineData("{\"mode\":\"latent\"}", "<boLatent><latent_0><latent_1><eoLatent></think> True<eos>")]
    [InlineData("{\"mode\":\"text\"}", " Tom is a wumpus. Every wumpus is a lempus.</think> True<eos>")]
    [InlineData("{\"mode\":\"none\"}", "</think> True<eos>")]
    [InlineData("{\"latent_budget\":1}", "<boLatent><latent_0><eoLatent> Every wumpus is a lempus.</think> True<eos>")]
    [InlineData("{\"latent_budget\":0}", " Tom is a wumpus. Every wumpus is a lempus.</think> True<eos>")]
    public async Task ReturnTokenIds_AnyMode_AreEverythingThatWasGenerated(string reasoning, string expected)
    {
        var whole = await _server.CompleteAsync(TestServer.Body($"\"return_token_ids\":true,\"reasoning\":{reasoning}"));
        var chunks = (await _server.StreamAsync(TestServer.Body($"\"return_token_ids\":true,\"stream\":true,\"reasoning\":{reasoning}")))
            .SkipLast(1).Select(data => JsonNode.Parse(data)!).ToList();

        var ids = Ids(whole["choices"]![0]!["token_ids"]!);
        Assert.Equal(expected, await DetokenizeAsync(ids));
        Assert.Equal((int)whole["usage"]!["completion_tokens"]!, ids.Count);
        Assert.Equal((int)whole["usage"]!["prompt_tokens"]!, whole["prompt_token_ids"]!.AsArray().Count);
        Assert.Equal(ids, chunks.Where(chunk => chunk["choices"]![0]!["token_ids"] is not null).SelectMany(chunk => Ids(chunk["choices"]![0]!["token_ids"]!)));
        Assert.Equal(whole["prompt_token_ids"]!.ToJsonString(), chunks[0]["prompt_token_ids"]!.ToJsonString());
        Assert.All(chunks.Skip(1), chunk => Assert.Null(chunk["prompt_token_ids"]));
    }

    [Theory]
    [InlineData("{\"mode\":\"latent\"}", 5)]
    [InlineData("{\"mode\":\"text\"}", 12)]
    public async Task ReturnTokenIds_EveryLimit_AddUpToTheUsage(string reasoning, int most)
    {
        for (var limit = 1; limit <= most; limit++)
        {
            var whole = await _server.CompleteAsync(TestServer.Body($"\"return_token_ids\":true,\"max_tokens\":{limit},\"reasoning\":{reasoning}"));

            var usage = (int)whole["usage"]!["completion_tokens"]!;
            var count = whole["choices"]![0]!["token_ids"]!.AsArray().Count;

            // With one token in all, a delimiter alone was generated: which one, no event says.
            Assert.Equal(limit == 1 && reasoning.Contains("latent", StringComparison.Ordinal) ? 0 : usage, count);
        }
    }

    [Fact]
    public async Task NotAsked_NoIdsAndNoLogprobs_AreGivenOut()
    {
        var whole = await _server.CompleteAsync(TestServer.Body());

        Assert.False(whole.AsObject().ContainsKey("prompt_token_ids"));
        Assert.False(whole["choices"]![0]!.AsObject().ContainsKey("token_ids"));
        Assert.Null(whole["choices"]![0]!["logprobs"]);
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/v1/completions")]
    public async Task ContinuousUsage_EveryChunk_GrowsToTheUsageOfTheEnd(string path)
    {
        var prompt = path.EndsWith("chat/completions", StringComparison.Ordinal)
            ? $$"""  "messages":[{"role":"user","content":"{{TestServer.Prompt}}"}]  """ : $$"""  "prompt":"{{TestServer.Prompt}}"  """;
        var events = await _server.EventsAsync(
            path, "{" + prompt + ""","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},"reasoning":{"latent_budget":1}}""");

        var usages = events.SkipLast(1).Select(happened => JsonNode.Parse(happened.Data)!).Select(chunk => chunk["usage"]).Where(usage => usage is not null).ToList();
        var totals = usages.Select(usage => (int)usage!["completion_tokens"]!).ToList();
        Assert.Equal(totals.Order(), totals);
        Assert.True(totals.Distinct().Count() >= 5, string.Join(' ', totals));
        var last = usages[^1]!;
        Assert.NotNull(last["latent_savings"]);
        Assert.All(usages, usage => AssertAddsUp(usage!));
        Assert.Equal((int)last["completion_tokens"]!, totals.Max());
    }

    [Fact]
    public async Task Logprobs_Asked_StandBesideAnswerReasoningAndLatents()
    {
        const string More = "\"logprobs\":true,\"top_logprobs\":3,\"return_token_ids\":true,\"reasoning\":{\"latent_budget\":1}";
        var whole = await _server.CompleteAsync(TestServer.Body(More));
        var chunks = (await _server.StreamAsync(TestServer.Body(More + ",\"stream\":true"))).SkipLast(1).Select(data => JsonNode.Parse(data)!).ToList();

        var logprobs = whole["choices"]![0]!["logprobs"]!;
        Assert.Equal([" True"], Tokens(logprobs["content"]!));
        Assert.Equal("[32,84,114,117,101]", logprobs["content"]![0]!["bytes"]!.ToJsonString());
        Assert.Equal(" Every wumpus is a lempus.", string.Concat(Tokens(logprobs["reasoning_content"]!)));
        Assert.Equal(["<latent_0>"], Tokens(logprobs["latent_reasoning"]!));
        foreach (var kind in (string[])["content", "reasoning_content", "latent_reasoning"])
        {
            foreach (var entry in logprobs[kind]!.AsArray())
            {
                var top = entry!["top_logprobs"]!.AsArray().Select(alternative => (float)alternative!["logprob"]!).ToList();
                Assert.Equal(3, top.Count);
                Assert.Equal(top.OrderDescending(), top);
                Assert.True((float)entry["logprob"]! <= top[0]);
                Assert.True((float)entry["logprob"]! <= 0);
            }
            Assert.Equal(
                logprobs[kind]!.AsArray().Select(entry => entry!.ToJsonString()),
                chunks.SelectMany(chunk => chunk["choices"]![0]!["logprobs"]?[kind]?.AsArray() ?? []).Select(entry => entry!.ToJsonString()));
        }
    }

    private static List<int> Ids(JsonNode ids) => [.. ids.AsArray().Select(id => (int)id!)];

    private static IEnumerable<string> Tokens(JsonNode entries) => entries.AsArray().Select(entry => (string)entry!["token"]!);

    private static void AssertAddsUp(JsonNode usage)
    {
        var details = usage["completion_tokens_details"]!;
        Assert.Equal((int)usage["total_tokens"]!, (int)usage["prompt_tokens"]! + (int)usage["completion_tokens"]!);
        Assert.Equal(
            (int)details["reasoning_tokens"]!,
            (int)details["latent_tokens"]! + (int)details["reasoning_text_tokens"]! + (int)details["control_tokens"]!);
    }

    private async Task<string> DetokenizeAsync(List<int> ids) =>
        (string)(await _server.AnswerAsync("/detokenize", $$"""{"tokens":[{{string.Join(',', ids)}}]}"""))["prompt"]!;

    public sealed class Shared : SharedServer;
}
