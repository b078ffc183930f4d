using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class LatentRoutesTests
{
    [Fact]
    public async Task Decode_Codes_GivesOneHintEach()
    {
        await using var server = await TestServer.StartAsync();

        var body = await AnswerAsync(server, "/v1/latents/decode", """{"codes":[3,0],"prompt":"Tom?"}""");

        Assert.Equal(("latents.decoded", "tiny"), ((string?)body["object"], (string?)body["model"]));
        Assert.Equal("[3,0]", body["codes"]!.ToJsonString());
        Assert.Equal("""["hint 3","hint 0"]""", body["hints"]!.ToJsonString());
        Assert.Equal("hint 3 hint 0", (string?)body["hint"]);
        Assert.Equal("[0.5,0.5]", body["confidences"]!.ToJsonString());
        Assert.Equal("[5,5]", body["token_counts"]!.ToJsonString());
        Assert.Equal(0.5, (double)body["confidence"]!);
    }

    [Fact]
    public async Task Encode_Steps_GivesCodesAndTheirIds()
    {
        await using var server = await TestServer.StartAsync();

        var body = await AnswerAsync(server, "/v1/latents/encode", """{"steps":["Tom is a wumpus."," Every wumpus is a lempus."],"messages":[{"role":"user","content":"Tom?"}]}""");

        Assert.Equal("[0,1]", body["codes"]!.ToJsonString());
        Assert.Equal([TinyTokenizer.FirstLatentId, TinyTokenizer.FirstLatentId + 1], body["token_ids"]!.AsArray().Select(id => (int)id!));
    }

    [Theory]
    [InlineData("decode", """{"codes":[0]}""", "prompt", "expected exactly one of prompt, messages, found none")]
    [InlineData("decode", """{"prompt":"a"}""", "codes", "must have 1 to")]
    [InlineData("decode", """{"prompt":"a","codes":[]}""", "codes", "got 0")]
    [InlineData("decode", """{"prompt":"a","codes":[4]}""", "codes[0]", "from 0 to 3; got 4")]
    [InlineData("decode", """{"prompt":"a","codes":[0,-1]}""", "codes[1]", "-1")]
    [InlineData("decode", """{"prompt":"a","codes":[0.5]}""", "codes[0]", "0.5")]
    [InlineData("decode", """{"prompt":"a","codes":7}""", "codes", "expected an array of numbers, found a number")]
    [InlineData("decode", """{"prompt":[0,99999],"codes":[0]}""", "prompt[1]", "99999")]
    [InlineData("encode", """{"prompt":"a"}""", "steps", "must have 1 to")]
    [InlineData("encode", """{"prompt":"a","steps":[1]}""", "steps[0]", "expected a string, found a number")]
    [InlineData("encode", """{"prompt":"a","steps":[""]}""", "steps[0]", "got 0")]
    [InlineData("encode", """{"prompt":"a","steps":["abcdefghijklmnopqrstuvwxyz"]}""", "steps[0]", "tokens, what one latent stands for")]
    public async Task Post_WrongField_IsNamed(string route, string body, string param, string inMessage)
    {
        await using var server = await TestServer.StartAsync();

        using var response = await PostAsync(server, $"/v1/latents/{route}", body);

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", param);
        Assert.Contains(inMessage, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Decode_MoreCallersThanMayWait_AreToldToComeBackAndTheOthersAreServed()
    {
        using var gate = new StepGate();
        await using var server = await TestServer.StartAsync(codebook: new ScriptedCodebook { BeforeDecode = _ => gate.Pass() });
        const string Body = """{"codes":[0],"prompt":"Tom?"}""";

        // One runs and 64 may wait; of 70 calls that are all there at once at least five are refused before the gate opens.
        var calls = Enumerable.Range(0, 70).Select(_ => PostAsync(server, "/v1/latents/decode", Body)).ToList();
        var refused = new List<HttpResponseMessage>();
        while (refused.Count < 5)
        {
            var ended = await Task.WhenAny(calls);
            calls.Remove(ended);
            refused.Add(await ended);
        }
        gate.Open();
        var served = await Task.WhenAll(calls);

        foreach (var response in refused)
        {
            await ErrorAssert.IsAsync(response, HttpStatusCode.TooManyRequests, "queue_full", null);
            Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
        }
        Assert.Equal(65, served.Count(response => response.StatusCode == HttpStatusCode.OK));
    }

    private static async Task<JsonNode> AnswerAsync(TestServer server, string path, string body)
    {
        using var response = await PostAsync(server, path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private static Task<HttpResponseMessage> PostAsync(TestServer server, string path, string body) =>
        server.Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));
}
