using Tessera.Models;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class ChatCompletionTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Post_LatentMode_GivesAnswerAndLatentsWithHints()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}"));

        Assert.Equal("chat.completion", (string?)completion["object"]);
        Assert.Equal("tiny", (string?)completion["model"]);
        var choice = Assert.Single(completion["choices"]!.AsArray())!;
        Assert.Equal("stop", (string?)choice["finish_reason"]);
        Assert.Equal(
            """{"role":"assistant","content":"True","latent_reasoning":{"spans":[{"codes":[0,1],"hint":"hint 0 hint 1","hints":["hint 0","hint 1"],"confidence":0.5}]}}""",
            choice["message"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_LatentMode_CountsTokensByKindAndSavings()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}"));

        var usage = completion["usage"]!;
        // <boLatent> 0 1 <eoLatent> </think> " True" <eos>
        var promptTokens = _server.Package.EncodeChat([new ChatTurn("user", TestServer.Prompt)]).Length + 1;
        Assert.Equal(promptTokens, (int)usage["prompt_tokens"]!);
        Assert.Equal(7, (int)usage["completion_tokens"]!);
        Assert.Equal(promptTokens + 7, (int)usage["total_tokens"]!);
        Assert.Equal("""{"cached_tokens":0}""", usage["prompt_tokens_details"]!.ToJsonString());
        Assert.Equal(
            """{"reasoning_tokens":5,"latent_tokens":2,"reasoning_text_tokens":0,"control_tokens":3}""", usage["completion_tokens_details"]!.ToJsonString());

        // Two hints of five tokens each, against two latents and two delimiters.
        var savings = usage["latent_savings"]!;
        Assert.Equal(2, (int)savings["latent_tokens"]!);
        Assert.Equal(10, (double)savings["text_equivalent_tokens"]!);
        Assert.Equal(6, (double)savings["tokens_saved"]!);
        Assert.Equal(6.0 / 13, (double)savings["fraction_saved"]!, 9);
        Assert.Equal(6, (double)savings["steps_saved"]!);
        Assert.Equal(6 * 1024, (double)savings["kv_bytes_saved"]!);
        Assert.Equal("estimated", (string?)savings["basis"]);
        Assert.Equal(
            ["latent_tokens", "text_equivalent_tokens", "tokens_saved", "fraction_saved", "steps_saved", "kv_bytes_saved", "seconds_saved", "basis"],
            savings.AsObject().Select(field => field.Key));
    }

    [Fact]
    public async Task Post_TextMode_GivesReasoningUnderBothNames()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"text\"}"));

        Assert.Equal(
            """{"role":"assistant","content":"True","reasoning":"Tom is a wumpus. Every wumpus is a lempus.","reasoning_content":"Tom is a wumpus. Every wumpus is a lempus."}""",
            completion["choices"]![0]!["message"]!.ToJsonString());
        Assert.Equal(0, (int)completion["usage"]!["latent_savings"]!["latent_tokens"]!);
        Assert.Equal(0, (double)completion["usage"]!["latent_savings"]!["tokens_saved"]!);
    }

    [Fact]
    public async Task Post_LatentBudget_GivesTheRestAsText()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\",\"latent_budget\":1,\"explain\":false}"));

        Assert.Equal(
            """{"role":"assistant","content":"True","reasoning":"Every wumpus is a lempus.","reasoning_content":"Every wumpus is a lempus.","latent_reasoning":{"spans":[{"codes":[0]}]}}""",
            completion["choices"]![0]!["message"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_NoneMode_GivesTheAnswerAlone()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"none\"}"));

        Assert.Equal("""{"role":"assistant","content":"True"}""", completion["choices"]![0]!["message"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_NothingGiven_EchoesDefaults()
    {
        var completion = await _server.CompleteAsync(TestServer.Body());

        var room = 256 - (int)completion["usage"]!["prompt_tokens"]!;
        Assert.Equal(
            $$"""{"mode":"auto","latent_budget":null,"thinking_budget":null,"explain":true,"max_tokens":{{room}}}""", completion["reasoning"]!.ToJsonString());
        Assert.Equal("""{"temperature":0,"top_k":0,"top_p":1,"seed":0,"min_p":0,"repetition_penalty":1,"frequency_penalty":0,"presence_penalty":0,"min_tokens":0,"n":1}""", completion["sampling"]!.ToJsonString());
        Assert.Equal(["queue_ms", "prefill_ms", "time_to_first_token_ms", "inter_token_ms", "total_ms"], completion["timings"]!.AsObject().Select(field => field.Key));
    }

    [Fact]
    public async Task Post_EverythingGiven_EchoesIt()
    {
        var completion = await _server.CompleteAsync(TestServer.Body(
            "\"max_completion_tokens\":40,\"temperature\":0.5,\"top_k\":5,\"top_p\":0.5,\"seed\":77,\"min_p\":0.25,\"repetition_penalty\":1.5,\"frequency_penalty\":0.5,\"presence_penalty\":-0.5,\"min_tokens\":4,\"stop\":[\"never\"],\"user\":\"u\",\"reasoning\":{\"mode\":\"latent\",\"latent_budget\":3,\"thinking_budget\":20,\"explain\":false}"));

        Assert.Equal("""{"mode":"latent","latent_budget":3,"thinking_budget":20,"explain":false,"max_tokens":40}""", completion["reasoning"]!.ToJsonString());
        Assert.Equal("""{"temperature":0.5,"top_k":5,"top_p":0.5,"seed":77,"min_p":0.25,"repetition_penalty":1.5,"frequency_penalty":0.5,"presence_penalty":-0.5,"min_tokens":4,"n":1}""", completion["sampling"]!.ToJsonString());
    }

    [Theory]
    [InlineData("none", "none")]
    [InlineData("low", "latent")]
    [InlineData("medium", "auto")]
    [InlineData("high", "text")]
    public async Task Post_ReasoningEffort_StandsForAMode(string effort, string mode)
    {
        var completion = await _server.CompleteAsync(TestServer.Body($"\"reasoning_effort\":\"{effort}\""));

        Assert.Equal(mode, (string?)completion["reasoning"]!["mode"]);
    }

    [Fact]
    public async Task Post_MaxTokensReached_FinishesWithLength()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"max_tokens\":2,\"reasoning\":{\"mode\":\"latent\"}"));

        Assert.Equal("length", (string?)completion["choices"]![0]!["finish_reason"]);
        Assert.Equal("", (string?)completion["choices"]![0]!["message"]!["content"]);
        Assert.Equal(2, (int)completion["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Post_StopString_EndsTheAnswerBeforeIt()
    {
        var completion = await _server.CompleteAsync(TestServer.Body("\"stop\":\"ue\""));

        Assert.Equal("Tr", (string?)completion["choices"]![0]!["message"]!["content"]);
        Assert.Equal("stop", (string?)completion["choices"]![0]!["finish_reason"]);
    }

    [Fact]
    public async Task Post_TextParts_CountAsTheirText()
    {
        var whole = await _server.CompleteAsync("""{"model":"tiny","messages":[{"role":"system","content":"Tom."},{"role":"user","content":"Tom is a wumpus."}]}""");
        var parts = await _server.CompleteAsync(
            """{"messages":[{"role":"developer","content":[{"type":"text","text":"Tom."}]},{"role":"user","content":[{"type":"text","text":"Tom is"},{"type":"text","text":" a wumpus."}],"name":"x"}]}""");

        Assert.Equal((int)whole["usage"]!["prompt_tokens"]!, (int)parts["usage"]!["prompt_tokens"]!);
        Assert.Equal(whole["choices"]!.ToJsonString(), parts["choices"]!.ToJsonString());
    }

    [Theory]
    [InlineData("\"n\":1,\"tools\":[],\"logit_bias\":{},\"frequency_penalty\":0,\"presence_penalty\":0.0,\"logprobs\":false")]
    [InlineData("\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"],\"tool_choice\":\"none\",\"stream\":false")]
    [InlineData("\"store\":true,\"metadata\":{\"a\":1},\"service_tier\":\"auto\",\"some_future_field\":[1,2]")]
    [InlineData("\"temperature\":null,\"max_tokens\":null,\"stop\":null,\"reasoning\":null,\"stream_options\":null,\"tools\":null,\"n\":null")]
    [InlineData("\"temperature\":9,\"temperature\":0")]
    [InlineData("\"max_tokens\":30,\"max_completion_tokens\":30")]
    public async Task Post_FieldsThatChangeNothing_AreAccepted(string fields)
    {
        var completion = await _server.CompleteAsync(TestServer.Body(fields));

        Assert.Equal("True", (string?)completion["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Post_NonAsciiPrompt_IsAnswered()
    {
        var completion = await _server.CompleteAsync(TestServer.Body(prompt: "Grüße \\ud83d\\ude00 日本"));

        Assert.Equal("True", (string?)completion["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Post_ByteOrderMark_IsSkipped()
    {
        var completion = await _server.CompleteAsync("\uFEFF" + TestServer.Body());

        Assert.Equal("True", (string?)completion["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Post_ManyAtOnce_AllGetTheSameAnswer()
    {
        var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}"))));

        Assert.Equal(24, answers.Select(answer => (string?)answer["id"]).Distinct().Count());
        Assert.Single(answers.Select(answer => answer["choices"]!.ToJsonString()).Distinct());
        Assert.Single(answers.Select(answer => answer["usage"]!["completion_tokens"]!.ToJsonString()).Distinct());
    }

    [Fact]
    public async Task Post_PartOfTheCodesHasHints_OthersAreNull()
    {
        await using var server = await TestServer.StartAsync(codebook: new ScriptedCodebook { MaxCodes = 1 });

        var completion = await server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}"));

        Assert.Equal(
            """[{"codes":[0,1],"hint":"hint 0","hints":["hint 0",null],"confidence":0.5}]""",
            completion["choices"]![0]!["message"]!["latent_reasoning"]!["spans"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_AnyRequest_LeavesNoPromptOrAnswerInTheLog()
    {
        await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"text\"}"));
        using var refused = await _server.PostAsync(TestServer.Body("\"temperature\":-1"));

        Assert.Contains(_server.Logs.Entries, entry => entry.Text.Contains("POST /v1/chat/completions 200", StringComparison.Ordinal));
        Assert.DoesNotContain(_server.Logs.Entries, entry => entry.Text.Contains("wumpus", StringComparison.Ordinal) || entry.Text.Contains("lempus", StringComparison.Ordinal));
    }
}
