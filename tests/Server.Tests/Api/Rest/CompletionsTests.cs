using System.Net;
using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class CompletionsTests(CompletionsTests.Shared shared) : IClassFixture<CompletionsTests.Shared>
{
    private const string Path = "/v1/completions";

    private readonly TestServer _server = shared.Server;

    [Fact]
    public async Task Post_Prompt_GivesAnswerReasoningAndUsage()
    {
        var body = await _server.AnswerAsync(Path, Body(TestServer.Prompt, "\"reasoning\":{\"latent_budget\":1}"));

        Assert.Equal(("text_completion", "tiny"), ((string?)body["object"], (string?)body["model"]));
        Assert.StartsWith("cmpl-", (string?)body["id"], StringComparison.Ordinal);
        var choice = Assert.Single(body["choices"]!.AsArray())!;
        Assert.Equal(("True", "stop", 0), ((string?)choice["text"], (string?)choice["finish_reason"], (int)choice["index"]!));
        Assert.Null(choice["logprobs"]);
        Assert.Equal("Every wumpus is a lempus.", (string?)choice["reasoning_content"]);
        Assert.Equal("[0]", choice["latent_reasoning"]!["spans"]![0]!["codes"]!.ToJsonString());
        var details = body["usage"]!["completion_tokens_details"]!;
        Assert.Equal((1, 3), ((int)details["latent_tokens"]!, (int)details["control_tokens"]!));
        Assert.Equal(_server.Package.Tokenizer.Encode(TestServer.Prompt).Length + 1, (int)body["usage"]!["prompt_tokens"]!);
    }

    [Theory]
    [InlineData("text")]
    [InlineData("latent")]
    [InlineData("none")]
    public async Task Post_PromptAsIds_IsThePromptAsText(string mode)
    {
        var reasoning = $$"""  "reasoning":{"mode":"{{mode}}"}  """;
        var ids = string.Join(',', _server.Package.Tokenizer.Encode(TestServer.Prompt));

        var asText = await _server.AnswerAsync(Path, Body(TestServer.Prompt, reasoning));
        var asIds = await _server.AnswerAsync(Path, $$"""{"prompt":[{{ids}}],{{reasoning}}}""");
        var asArray = await _server.AnswerAsync(Path, $$"""{"prompt":["{{TestServer.Prompt}}"],{{reasoning}}}""");

        Assert.Equal(Without(asText["usage"]!), Without(asIds["usage"]!));
        Assert.Equal(asText["choices"]!.ToJsonString(), asIds["choices"]!.ToJsonString());
        Assert.Equal(asText["choices"]!.ToJsonString(), asArray["choices"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_Stream_AddsUpToTheWholeAnswer()
    {
        var whole = await _server.AnswerAsync(Path, Body(TestServer.Prompt, "\"reasoning\":{\"latent_budget\":1}"));

        var events = await _server.EventsAsync(
            Path, Body(TestServer.Prompt, "\"reasoning\":{\"latent_budget\":1},\"stream\":true,\"stream_options\":{\"include_usage\":true}"));

        Assert.Equal("[DONE]", events[^1].Data);
        var chunks = events.SkipLast(1).Select(happened => JsonNode.Parse(happened.Data)!).ToList();
        Assert.All(chunks, chunk => Assert.Equal("text_completion", (string?)chunk["object"]));
        var choices = chunks.SelectMany(chunk => chunk["choices"]!.AsArray()).ToList();
        Assert.Equal("True", string.Concat(choices.Select(choice => (string?)choice!["text"])));
        Assert.Equal("Every wumpus is a lempus.", string.Concat(choices.Select(choice => (string?)choice!["reasoning"])));
        Assert.Equal(["stop"], choices.Select(choice => (string?)choice!["finish_reason"]).Where(reason => reason is not null));
        Assert.Equal([0], choices.Where(choice => choice!["latent_delta"] is { } latent && latent["hint"] is null).Select(choice => (int)choice!["latent_delta"]!["codes"]![0]!));
        Assert.Single(choices, choice => (string?)choice!["latent_delta"]?["hint"] == "hint 0");
        Assert.Empty(chunks[^1]["choices"]!.AsArray());
        Assert.Equal(Without(whole["usage"]!), Without(chunks[^1]["usage"]!));
        Assert.All(chunks.SkipLast(1), chunk => Assert.Null(chunk["usage"]));
    }

    [Fact]
    public async Task Post_Logprobs_ComeInParallelArrays()
    {
        var body = await _server.AnswerAsync(Path, Body(TestServer.Prompt, "\"logprobs\":2,\"reasoning\":{\"mode\":\"none\"}"));

        var logprobs = body["choices"]![0]!["logprobs"]!;
        Assert.Equal(["tokens", "token_logprobs", "top_logprobs", "text_offset"], logprobs.AsObject().Select(field => field.Key));
        Assert.Equal([" True"], logprobs["tokens"]!.AsArray().Select(token => (string)token!));
        Assert.Equal([0], logprobs["text_offset"]!.AsArray().Select(offset => (int)offset!));
        var top = logprobs["top_logprobs"]![0]!.AsObject();
        Assert.Equal(2, top.Count);
        Assert.Equal((float)logprobs["token_logprobs"]![0]!, (float)top[" True"]!);
        Assert.InRange((float)logprobs["token_logprobs"]![0]!, -10, 0);
    }

    [Theory]
    [InlineData("{}", "prompt", "expected a string or an array of token ids, found nothing")]
    [InlineData("""{"prompt":7}""", "prompt", "found a number")]
    [InlineData("""{"prompt":[]}""", "prompt", "found an array of other things")]
    [InlineData("""{"prompt":["a",7]}""", "prompt[1]", "expected a string or an array of token ids, found a number")]
    [InlineData("""{"prompt":["a",""]}""", "prompt[1]", "empty")]
    [InlineData("""{"prompt":[[1,2],[3,99999]]}""", "prompt[1][1]", "99999")]
    [InlineData("""{"prompt":[[1,2],[3,"b"]]}""", "prompt[1][1]", "expected a number, found a string")]
    [InlineData("""{"prompt":["a","b"],"max_tokens":0}""", "max_tokens", "0")]
    [InlineData("""{"prompt":[1,99999]}""", "prompt[1]", "99999")]
    [InlineData("""{"prompt":[1,-1]}""", "prompt[1]", "-1")]
    [InlineData("""{"prompt":""}""", "prompt", "empty")]
    [InlineData("""{"prompt":"a","echo":true}""", "echo", "not supported")]
    [InlineData("""{"prompt":"a","suffix":"b"}""", "suffix", "not supported")]
    [InlineData("""{"prompt":"a","best_of":2}""", "best_of", "2")]
    [InlineData("""{"prompt":"a","logprobs":21}""", "logprobs", "21")]
    [InlineData("""{"prompt":"a","logprobs":true}""", "logprobs", "expected a number, found true")]
    [InlineData("""{"prompt":"a","max_tokens":0}""", "max_tokens", "0")]
    [InlineData("""{"prompt":"a","response_format":{"type":"json_schema"}}""", "response_format", "json_schema")]
    [InlineData("""{"prompt":"a","stream_options":{"include_usage":true}}""", "stream_options", "only together")]
    public async Task Post_WrongField_IsNamed(string body, string param, string inMessage)
    {
        using var response = await _server.PostToAsync(Path, body);

        Assert.Contains(inMessage, await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", param), StringComparison.Ordinal);
    }

    private static string Body(string prompt, string more) => $$"""{"model":"tiny","prompt":"{{prompt}}",{{more}}}""";

    // Seconds are another time's; what is cached is another request's.
    private static string Without(JsonNode usage)
    {
        var copy = usage.DeepClone();
        copy["latent_savings"]!.AsObject().Remove("seconds_saved");
        copy.AsObject().Remove("prompt_tokens_details");
        return copy.ToJsonString();
    }

    public sealed class Shared : SharedServer;
}
