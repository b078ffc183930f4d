using System.Net;
using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class ResponsesTests(ResponsesTests.Shared shared) : IClassFixture<ResponsesTests.Shared>
{
    private const string Path = "/v1/responses";

    private readonly TestServer _server = shared.Server;

    [Fact]
    public async Task Post_Text_GivesReasoningItemMessageItemAndUsage()
    {
        var body = await _server.AnswerAsync(Path, Body("\"reasoning\":{\"latent_budget\":1}"));

        Assert.Equal(("response", "completed", "tiny"), ((string?)body["object"], (string?)body["status"], (string?)body["model"]));
        Assert.Equal(["reasoning", "message"], body["output"]!.AsArray().Select(item => (string)item!["type"]!));
        var (reasoning, message) = (body["output"]![0]!, body["output"]![1]!);
        Assert.Equal("""[{"type":"reasoning_text","text":"Every wumpus is a lempus."}]""", reasoning["content"]!.ToJsonString());
        Assert.Equal("[]", reasoning["summary"]!.ToJsonString());
        Assert.Equal("""{"codes":[0],"hint":"hint 0","hints":["hint 0"],"confidence":0.5}""", reasoning["latent_reasoning"]!["spans"]![0]!.ToJsonString());
        Assert.Equal("""[{"type":"output_text","text":"True","annotations":[],"logprobs":[]}]""", message["content"]!.ToJsonString());
        Assert.Equal(("assistant", "completed"), ((string?)message["role"], (string?)message["status"]));
        var usage = body["usage"]!;
        Assert.Equal((int)usage["total_tokens"]!, (int)usage["input_tokens"]! + (int)usage["output_tokens"]!);
        Assert.Equal(1, (int)usage["output_tokens_details"]!["latent_tokens"]!);
    }

    [Fact]
    public async Task Post_SamePrompt_HasTheUsageOfChat()
    {
        var chat = (await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}")))["usage"]!;
        var usage = (await _server.AnswerAsync(Path, Body("\"reasoning\":{\"mode\":\"latent\"}")))["usage"]!;

        Assert.Equal((int)chat["prompt_tokens"]!, (int)usage["input_tokens"]!);
        Assert.Equal((int)chat["completion_tokens"]!, (int)usage["output_tokens"]!);
        Assert.Equal(chat["completion_tokens_details"]!.ToJsonString(), usage["output_tokens_details"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_EverythingOfTheContract_IsEchoedAsEffective()
    {
        var body = await _server.AnswerAsync(
            Path,
            Body("\"instructions\":\"Tom.\",\"max_output_tokens\":40,\"metadata\":{\"a\":\"b\"},\"store\":false,\"user\":\"u\",\"temperature\":0,\"top_p\":0.5,\"tools\":[],\"text\":{\"format\":{\"type\":\"text\"}},\"truncation\":\"disabled\",\"parallel_tool_calls\":false,\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"}"));

        Assert.Equal(("Tom.", 40, "u"), ((string?)body["instructions"], (int)body["max_output_tokens"]!, (string?)body["user"]));
        Assert.Equal("""{"a":"b"}""", body["metadata"]!.ToJsonString());
        Assert.Equal((false, false, false), ((bool)body["store"]!, (bool)body["background"]!, (bool)body["parallel_tool_calls"]!));
        Assert.Equal((0f, 0.5f), ((float)body["temperature"]!, (float)body["top_p"]!));
        Assert.Equal("""{"effort":"low","summary":"auto","mode":"latent","latent_budget":null,"thinking_budget":null,"explain":true}""", body["reasoning"]!.ToJsonString());
        Assert.Equal("""[{"type":"summary_text","text":"hint 0 hint 1"}]""", body["output"]![0]!["summary"]!.ToJsonString());
        foreach (var name in (string[])["error", "incomplete_details", "previous_response_id"])
        {
            Assert.True(body.AsObject().TryGetPropertyValue(name, out var value) && value is null, name);
        }
    }

    [Fact]
    public async Task Post_Items_AreTheConversationWithoutEarlierReasoning()
    {
        const string Items = """
            {"model":"tiny","input":[
              {"role":"developer","content":"Tom."},
              {"type":"message","role":"user","content":[{"type":"input_text","text":"Every wumpus"}]},
              {"type":"reasoning","id":"rs_1","summary":[]},
              {"type":"message","role":"assistant","content":[{"type":"output_text","text":"True","annotations":[]}]},
              {"role":"user","content":"Tom?"}]}
            """;
        const string Messages = """
            {"messages":[{"role":"system","content":"Tom."},{"role":"user","content":"Every wumpus"},{"role":"assistant","content":"True"},{"role":"user","content":"Tom?"}]}
            """;

        var chat = await _server.CompleteAsync(Messages);
        var response = await _server.AnswerAsync(Path, Items);

        Assert.Equal((int)chat["usage"]!["prompt_tokens"]!, (int)response["usage"]!["input_tokens"]!);
    }

    [Fact]
    public async Task Post_LimitInsideReasoning_IsIncompleteWithoutAMessage()
    {
        var body = await _server.AnswerAsync(Path, Body("\"max_output_tokens\":3,\"reasoning\":{\"mode\":\"text\"}"));

        Assert.Equal(("incomplete", "max_output_tokens"), ((string?)body["status"], (string?)body["incomplete_details"]!["reason"]));
        Assert.Equal(["reasoning"], body["output"]!.AsArray().Select(item => (string)item!["type"]!));
    }

    [Fact]
    public async Task Post_LogprobsIncluded_AreBesideTheText()
    {
        var body = await _server.AnswerAsync(Path, Body("\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":1,\"reasoning\":{\"mode\":\"none\"}"));

        var entry = body["output"]![0]!["content"]![0]!["logprobs"]![0]!;
        Assert.Equal(" True", (string?)entry["token"]);
        Assert.Equal(" True", (string?)Assert.Single(entry["top_logprobs"]!.AsArray())!["token"]);
    }

    [Theory]
    [InlineData("\"store\":true", "store", "not supported")]
    [InlineData("\"background\":true", "background", "not supported")]
    [InlineData("\"previous_response_id\":\"resp_1\"", "previous_response_id", "no response is stored")]
    [InlineData("\"conversation\":\"c\"", "conversation", "no response is stored")]
    [InlineData("\"tools\":[{\"type\":\"web_search\"}]", "tools", "not supported")]
    [InlineData("\"tool_choice\":\"required\"", "tool_choice", "none, auto")]
    [InlineData("\"text\":{\"format\":{\"type\":\"json_object\"}}", "text.format", "json_object")]
    [InlineData("\"text\":{\"verbosity\":\"low\"}", "text.verbosity", "medium")]
    [InlineData("\"truncation\":\"auto\"", "truncation", "disabled")]
    [InlineData("\"include\":[\"reasoning.encrypted_content\"]", "include[0]", "reasoning.encrypted_content")]
    [InlineData("\"top_logprobs\":2", "top_logprobs", "only together with")]
    [InlineData("\"reasoning\":{\"effort\":\"extreme\"}", "reasoning.effort", "extreme")]
    [InlineData("\"reasoning\":{\"summary\":\"long\"}", "reasoning.summary", "long")]
    [InlineData("\"reasoning_effort\":\"low\"", "reasoning_effort", "belongs inside reasoning")]
    [InlineData("\"max_output_tokens\":0", "max_output_tokens", "0")]
    [InlineData("\"n\":2", "n", "2")]
    [InlineData("\"prompt\":{\"id\":\"p\"}", "prompt", "not supported")]
    [InlineData("\"metadata\":[]", "metadata", "expected an object, found an array")]
    [InlineData("\"instructions\":5", "instructions", "expected a string, found a number")]
    [InlineData("\"stream_options\":{\"include_obfuscation\":true}", "stream_options.include_obfuscation", "not supported")]
    public async Task Post_FieldThatWouldBeLostOrIsWrong_IsNamed(string fields, string param, string inMessage) => await AssertRefusedAsync(Body(fields), param, inMessage);

    [Theory]
    [InlineData("{}", "input", "found nothing")]
    [InlineData("""{"input":7}""", "input", "found a number")]
    [InlineData("""{"input":[]}""", "input", "found an empty array")]
    [InlineData("""{"input":""}""", "input[0].content", "empty")]
    [InlineData("""{"input":["a"]}""", "input[0]", "expected an object")]
    [InlineData("""{"input":[{"type":"function_call","name":"f"}]}""", "input[0].type", "function_call")]
    [InlineData("""{"input":[{"role":"king","content":"a"}]}""", "input[0].role", "king")]
    [InlineData("""{"input":[{"role":"user"}]}""", "input[0].content", "found nothing")]
    [InlineData("""{"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]}""", "input[0].content[0].type", "input_image")]
    [InlineData("""{"input":[{"role":"user","content":[{"type":"input_text"}]}]}""", "input[0].content[0].text", "found nothing")]
    public async Task Post_InputWrong_IsNamed(string body, string param, string inMessage) => await AssertRefusedAsync(body, param, inMessage);

    private async Task AssertRefusedAsync(string body, string param, string inMessage)
    {
        using var response = await _server.PostToAsync(Path, body);

        Assert.Contains(inMessage, await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", param), StringComparison.Ordinal);
    }

    private static string Body(string more) => $$"""{"model":"tiny","input":"{{TestServer.Prompt}}",{{more}}}""";

    public sealed class Shared : SharedServer;
}
