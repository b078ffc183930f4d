using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class TokenRoutesTests : IClassFixture<TokenRoutesTests.Shared>
{
    private readonly TestServer _server;

    public TokenRoutesTests(Shared shared) => _server = shared.Server;

    [Fact]
    public async Task Tokenize_Text_GivesItsIds()
    {
        var body = await AnswerAsync("/tokenize", """{"model":"tiny","prompt":" Tom is a wumpus.","return_token_strs":true}""");

        int[] expected = [TinyTokenizer.IdOf(" Tom"), TinyTokenizer.IdOf(" is a"), TinyTokenizer.IdOf(" wump"), TinyTokenizer.IdOf("us.")];
        Assert.Equal(expected, body["tokens"]!.AsArray().Select(id => (int)id!));
        Assert.Equal([" Tom", " is a", " wump", "us."], body["token_strs"]!.AsArray().Select(text => (string)text!));
        Assert.All(body["kinds"]!.AsArray(), kind => Assert.Equal("text", (string?)kind));
        Assert.Equal((4, 256), ((int)body["count"]!, (int)body["max_model_len"]!));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData(",\"add_generation_prompt\":true", true)]
    [InlineData(",\"add_generation_prompt\":false", false)]
    public async Task Tokenize_Messages_EndWithThinkUnlessToldOtherwise(string more, bool ends)
    {
        var body = await AnswerAsync("/tokenize", $$"""{"messages":[{"role":"user","content":"Tom"}]{{more}}}""");

        Assert.Equal(ends, (int)body["tokens"]!.AsArray()[^1]! == TinyTokenizer.ThinkId);
    }

    [Fact]
    public async Task Tokenize_MessagesOfAGeneration_CountAsManyTokensAsItsPrompt()
    {
        var usage = (await _server.CompleteAsync(TestServer.Body()))["usage"]!;
        var body = await AnswerAsync("/tokenize", TestServer.Body());

        Assert.Equal((int)usage["prompt_tokens"]!, (int)body["count"]!);
    }

    [Fact]
    public async Task Tokenize_ContentOfASpecialToken_IsPlainText()
    {
        var body = await AnswerAsync("/tokenize", """{"prompt":"<think>","return_token_strs":true}""");

        Assert.DoesNotContain(TinyTokenizer.ThinkId, body["tokens"]!.AsArray().Select(id => (int)id!));
        Assert.Equal("<think>", string.Concat(body["token_strs"]!.AsArray().Select(text => (string)text!)));
    }

    [Fact]
    public async Task Detokenize_IdsOfAnyKind_ShowsSpecialTokensUnlessSkipped()
    {
        int[] ids = [TinyTokenizer.IdOf(" Tom"), TinyTokenizer.ThinkId, TinyTokenizer.FirstLatentId + 2, TinyTokenizer.IdOf(" yes"), 1];
        var tokens = $"[{string.Join(',', ids)}]";

        Assert.Equal(" Tom<think><latent_2> yes<eos>", (string?)(await AnswerAsync("/detokenize", $$"""{"tokens":{{tokens}}}"""))["prompt"]);
        Assert.Equal(" Tom yes", (string?)(await AnswerAsync("/detokenize", $$"""{"tokens":{{tokens}},"skip_special_tokens":true}"""))["prompt"]);
        Assert.Equal("", (string?)(await AnswerAsync("/detokenize", """{"tokens":[]}"""))["prompt"]);
    }

    [Theory]
    [InlineData("/tokenize", "{}", "prompt", "expected exactly one of prompt, messages, found none")]
    [InlineData("/tokenize", """{"prompt":"a","messages":[{"role":"user","content":"a"}]}""", "prompt", "found more")]
    [InlineData("/tokenize", """{"prompt":[1,2]}""", "prompt", "expected a string, found an array")]
    [InlineData("/tokenize", """{"prompt":"a","return_token_strs":1}""", "return_token_strs", "expected true or false, found a number")]
    [InlineData("/tokenize", """{"messages":[{"role":"robot","content":"a"}]}""", "messages[0].role", "robot")]
    [InlineData("/detokenize", "{}", "tokens", "found nothing")]
    [InlineData("/detokenize", """{"tokens":"1"}""", "tokens", "expected an array of numbers, found a string")]
    [InlineData("/detokenize", """{"tokens":[1,"x"]}""", "tokens[1]", "expected a number, found a string")]
    [InlineData("/detokenize", """{"tokens":[-1]}""", "tokens[0]", "-1")]
    [InlineData("/detokenize", """{"tokens":[0,1.5]}""", "tokens[1]", "1.5")]
    [InlineData("/detokenize", """{"tokens":[1e300]}""", "tokens[0]", "must be a whole number from 0 to")]
    public async Task Post_WrongField_IsNamed(string path, string body, string param, string inMessage)
    {
        using var response = await PostAsync(path, body);

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", param);
        Assert.Contains(inMessage, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/tokenize")]
    [InlineData("/detokenize")]
    [InlineData("/v1/latents/decode")]
    [InlineData("/v1/latents/encode")]
    public async Task Post_OtherModel_IsNotFound(string path)
    {
        using var response = await PostAsync(path, """{"model":"other"}""");

        await ErrorAssert.IsAsync(response, HttpStatusCode.NotFound, "model_not_found", "model");
    }

    [Theory]
    [InlineData(4096, HttpStatusCode.OK)]
    [InlineData(4097, HttpStatusCode.BadRequest)]
    public async Task Tokenize_TextAtItsBound_IsTakenAndOneMoreIsNot(int characters, HttpStatusCode expected)
    {
        // 16 characters for each of the tiny model's 256 positions.
        using var response = await PostAsync("/tokenize", $$"""{"prompt":"{{new string('a', characters)}}"}""");

        Assert.Equal(expected, response.StatusCode);
    }

    private async Task<JsonNode> AnswerAsync(string path, string body)
    {
        using var response = await PostAsync(path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        _server.Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));

    public sealed class Shared : IAsyncLifetime
    {
        internal TestServer Server { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Server = await TestServer.StartAsync();

        public ValueTask DisposeAsync() => Server.DisposeAsync();
    }
}
