using System.Net;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>One server for all rows: a bad request must not change what the next one gets.</summary>
public sealed class ChatBadInputTests : IClassFixture<ChatBadInputTests.Shared>
{
    private readonly TestServer _server;

    public ChatBadInputTests(Shared shared) => _server = shared.Server;

    [Theory]
    [InlineData("\"temperature\":-1", "temperature", "-1")]
    [InlineData("\"temperature\":2.5", "temperature", "2.5")]
    [InlineData("\"temperature\":1e999", "temperature", "temperature")]
    [InlineData("\"temperature\":\"hot\"", "temperature", "expected a number, found a string")]
    [InlineData("\"top_p\":0", "top_p", "0")]
    [InlineData("\"top_p\":1.5", "top_p", "1.5")]
    [InlineData("\"top_k\":-1", "top_k", "-1")]
    [InlineData("\"top_k\":1.5", "top_k", "1.5")]
    [InlineData("\"seed\":-1", "seed", "-1")]
    [InlineData("\"seed\":1e300", "seed", "seed")]
    [InlineData("\"max_tokens\":0", "max_tokens", "0")]
    [InlineData("\"max_tokens\":-5", "max_tokens", "-5")]
    [InlineData("\"max_tokens\":1.5", "max_tokens", "1.5")]
    [InlineData("\"max_tokens\":1000000", "max_tokens", "1000000")]
    [InlineData("\"max_tokens\":true", "max_tokens", "expected a number, found true")]
    [InlineData("\"max_completion_tokens\":0", "max_completion_tokens", "0")]
    [InlineData("\"max_tokens\":10,\"max_completion_tokens\":20", "max_completion_tokens", "expected the same value as max_tokens (10), found 20")]
    [InlineData("\"stop\":[\"a\",\"b\",\"c\",\"d\",\"e\"]", "stop", "5")]
    [InlineData("\"stop\":\"\"", "stop[0]", "0")]
    [InlineData("\"stop\":[\"a\",3]", "stop[1]", "expected a string, found a number")]
    [InlineData("\"stop\":7", "stop", "expected a string or an array of strings, found a number")]
    [InlineData("\"stop\":\"\\ud800\"", "stop", "half of a surrogate pair")]
    [InlineData("\"stream\":\"yes\"", "stream", "expected true or false, found a string")]
    [InlineData("\"stream_options\":{\"include_usage\":true}", "stream_options", "\"stream\": true")]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_usage\":1}", "stream_options.include_usage", "expected true or false, found a number")]
    [InlineData("\"stream\":true,\"stream_options\":[]", "stream_options", "expected an object, found an array")]
    public async Task Post_FieldOutOfRangeOrType_IsNamed(string fields, string param, string inMessage) => await AssertRefusedAsync(TestServer.Body(fields), param, inMessage);

    [Theory]
    [InlineData("\"reasoning\":{\"mode\":\"loud\"}", "reasoning.mode", "auto, latent, text, none")]
    [InlineData("\"reasoning\":{\"mode\":3}", "reasoning.mode", "expected a string, found a number")]
    [InlineData("\"reasoning\":{\"latent_budget\":-1}", "reasoning.latent_budget", "-1")]
    [InlineData("\"reasoning\":{\"thinking_budget\":1e12}", "reasoning.thinking_budget", "reasoning.thinking_budget")]
    [InlineData("\"reasoning\":{\"explain\":\"please\"}", "reasoning.explain", "expected true or false, found a string")]
    [InlineData("\"reasoning\":{\"mode\":\"none\",\"latent_budget\":4}", "reasoning.latent_budget", "none")]
    [InlineData("\"reasoning\":{\"budget\":4}", "reasoning.budget", "expected only mode, latent_budget, thinking_budget, explain")]
    [InlineData("\"reasoning\":{\"effort\":\"low\"}", "reasoning.effort", "belongs at the top level, as reasoning_effort")]
    [InlineData("\"reasoning\":{\"max_tokens\":4}", "reasoning.max_tokens", "belongs at the top level")]
    [InlineData("\"reasoning\":\"latent\"", "reasoning", "expected an object, found a string")]
    [InlineData("\"latent_budget\":4", "latent_budget", "belongs inside reasoning")]
    [InlineData("\"thinking_budget\":4", "thinking_budget", "belongs inside reasoning")]
    [InlineData("\"mode\":\"latent\"", "mode", "belongs inside reasoning")]
    [InlineData("\"explain\":false", "explain", "belongs inside reasoning")]
    [InlineData("\"reasoning_effort\":\"extreme\"", "reasoning_effort", "expected none, low, medium or high, found 'extreme'")]
    [InlineData("\"reasoning_effort\":\"high\",\"reasoning\":{\"mode\":\"latent\"}", "reasoning_effort", "reasoning.mode 'latent'")]
    public async Task Post_ReasoningFieldWrongOrMisplaced_SaysWhereItBelongs(string fields, string param, string inMessage) =>
        await AssertRefusedAsync(TestServer.Body(fields), param, inMessage);

    [Theory]
    [InlineData("\"n\":9", "n", "9")]
    [InlineData("\"n\":0", "n", "0")]
    [InlineData("\"n\":\"1\"", "n", "expected a number, found a string")]
    [InlineData("\"tools\":[{\"type\":\"function\"}]", "tools", "not supported")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice", "not supported")]
    [InlineData("\"functions\":[{}]", "functions", "not supported")]
    [InlineData("\"response_format\":{\"type\":\"json_object\"}", "response_format", "json_object")]
    [InlineData("\"logprobs\":1", "logprobs", "expected true or false, found a number")]
    [InlineData("\"top_logprobs\":5", "top_logprobs", "only together with \"logprobs\": true")]
    [InlineData("\"logprobs\":true,\"top_logprobs\":21", "top_logprobs", "21")]
    [InlineData("\"logit_bias\":{\"5\":101}", "logit_bias.5", "101")]
    [InlineData("\"logit_bias\":{\"99999\":1}", "logit_bias", "99999")]
    [InlineData("\"logit_bias\":{\"Tom\":1}", "logit_bias.Tom", "expected a token id")]
    [InlineData("\"logit_bias\":{\"5\":\"1\"}", "logit_bias.5", "expected a number, found a string")]
    [InlineData("\"logit_bias\":[1]", "logit_bias", "expected an object, found an array")]
    [InlineData("\"frequency_penalty\":2.5", "frequency_penalty", "2.5")]
    [InlineData("\"presence_penalty\":-3", "presence_penalty", "-3")]
    [InlineData("\"repetition_penalty\":0", "repetition_penalty", "0")]
    [InlineData("\"min_tokens\":-1", "min_tokens", "-1")]
    [InlineData("\"stop_token_ids\":[1.5]", "stop_token_ids[0]", "1.5")]
    [InlineData("\"stop_token_ids\":[99999]", "stop_token_ids[0]", "99999")]
    [InlineData("\"cache_salt\":1", "cache_salt", "expected a string, found a number")]
    [InlineData("\"verbosity\":\"low\"", "verbosity", "medium")]
    [InlineData("\"service_tier\":\"flex\"", "service_tier", "auto, default")]
    [InlineData("\"thinking_token_budget\":5", "thinking_token_budget", "belongs inside reasoning, as thinking_budget")]
    [InlineData("\"stream\":true,\"stream_options\":{\"include_obfuscation\":true}", "stream_options.include_obfuscation", "not supported")]
    [InlineData("\"return_token_ids\":1", "return_token_ids", "expected true or false, found a number")]
    [InlineData("\"modalities\":[\"text\",\"audio\"]", "modalities", "not supported")]
    [InlineData("\"audio\":{\"voice\":\"x\"}", "audio", "not supported")]
    [InlineData("\"min_p\":1.5", "min_p", "1.5")]
    public async Task Post_ParameterThatWouldBeLost_IsRefusedByName(string fields, string param, string inMessage) =>
        await AssertRefusedAsync(TestServer.Body(fields), param, inMessage);

    [Theory]
    [InlineData("""{"model":"tiny"}""", "messages", "found nothing")]
    [InlineData("""{"model":"tiny","messages":null}""", "messages", "found nothing")]
    [InlineData("""{"model":"tiny","messages":[]}""", "messages", "empty array")]
    [InlineData("""{"model":"tiny","messages":"hello"}""", "messages", "found a string")]
    [InlineData("""{"model":"tiny","messages":["hello"]}""", "messages[0]", "found a string")]
    [InlineData("""{"model":"tiny","messages":[{"content":"a"}]}""", "messages[0].role", "found nothing")]
    [InlineData("""{"model":"tiny","messages":[{"role":"king","content":"a"}]}""", "messages[0].role", "'king'")]
    [InlineData("""{"model":"tiny","messages":[{"role":"tool","content":"a"}]}""", "messages[0].role", "'tool'")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user"}]}""", "messages[0].content", "found nothing")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":""}]}""", "messages[0].content", "empty")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":[]}]}""", "messages[0].content", "empty")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":5}]}""", "messages[0].content", "found a number")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":"\udc00"}]}""", "messages[0].content", "half of a surrogate pair")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}""", "messages[0].content[0].type", "'image_url'")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":[{"type":"text"}]}]}""", "messages[0].content[0].text", "found nothing")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":["a"]}]}""", "messages[0].content[0]", "found a string")]
    [InlineData("""{"model":"tiny","messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{}]}]}""", "messages[1].tool_calls", "not supported")]
    [InlineData("""{"model":5,"messages":[{"role":"user","content":"a"}]}""", "model", "found a number")]
    public async Task Post_MessagesWrong_NamesTheElement(string body, string param, string inMessage) => await AssertRefusedAsync(body, param, inMessage);

    [Fact]
    public async Task Post_PromptOverThePositions_NamesBothNumbers() =>
        await AssertRefusedAsync(TestServer.Body(prompt: string.Concat(Enumerable.Repeat(" Tom", 300))), "messages", "256 positions");

    [Fact]
    public async Task Post_PromptFarOverThePositions_IsRefusedUnread() =>
        await AssertRefusedAsync(TestServer.Body(prompt: new string('a', 100_000)), "messages", "100000");

    [Fact]
    public async Task Post_SeveralProblems_ListsAllOnce()
    {
        using var response = await _server.PostAsync("""{"model":"tiny","temperature":9,"tools":[{}],"max_tokens":"x","latent_budget":1}""");

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", "tools");
        foreach (var field in (string[])["tools", "latent_budget", "max_tokens", "messages", "temperature"])
        {
            Assert.Single(message.Split("; "), part => part.StartsWith(field + ": ", StringComparison.Ordinal));
        }
        // That no messages were handed on is no problem of its own.
        Assert.DoesNotContain("prompt: ", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_OtherModel_IsNotFound()
    {
        using var response = await _server.PostAsync("""{"model":"gpt-5","messages":[{"role":"user","content":"a"}]}""");

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.NotFound, "model_not_found", "model");
        Assert.Contains("'tiny'", message, StringComparison.Ordinal);
    }

    private async Task AssertRefusedAsync(string body, string param, string inMessage)
    {
        using var response = await _server.PostAsync(body);

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", param);
        Assert.Contains(inMessage, message, StringComparison.Ordinal);
        Assert.StartsWith(param + ": ", message, StringComparison.Ordinal);
        var next = await _server.CompleteAsync(TestServer.Body());
        Assert.Equal("True", (string?)next["choices"]![0]!["message"]!["content"]);
    }

    public sealed class Shared : IAsyncLifetime
    {
        internal TestServer Server { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Server = await TestServer.StartAsync();

        public async ValueTask DisposeAsync() => await Server.DisposeAsync();
    }
}
