using System.Text.Json.Nodes;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.EndToEnd.Tests;

/// <summary>The official OpenAI client for JavaScript, unchanged, against the shipped model; what it sees is what REST says.</summary>
public sealed class OpenAIJsTests(OpenAIJsTests.Fixture fixture) : IClassFixture<OpenAIJsTests.Fixture>
{
    [Fact]
    public async Task Chat_PlainAndStreamed_SayWhatRestSays()
    {
        var rest = Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest("text")));
        var (plain, streamed) = (fixture.Saw["chat"], fixture.Saw["chatStream"]);

        foreach (var saw in (JsonNode[])[plain, streamed])
        {
            Assert.Equal((rest.Answer, rest.Reasoning, rest.FinishReason), ((string?)saw["content"], (string?)saw["reasoning"], (string?)saw["finish"]));
        }
        Assert.NotEmpty(rest.Reasoning);
        AssertSameUsage(plain["usage"]!, streamed["usage"]!);
        Assert.Equal($"chatcmpl-{(string?)plain["requestId"]}", (string?)plain["id"]);
    }

    [Fact]
    public void Latents_PlainAndStreamed_AreTheSame()
    {
        var (plain, streamed) = (fixture.Saw["latents"], fixture.Saw["latentsStream"]);

        var span = Assert.Single(plain["spans"]!.AsArray())!;
        Assert.NotEmpty(span["codes"]!.AsArray());
        Assert.Equal(span["codes"]!.ToJsonString(), streamed["codes"]!.ToJsonString());
        Assert.Equal(span["hints"]!.AsArray().Count, (int)streamed["hints"]!);
        Assert.Equal((string?)plain["content"], (string?)streamed["content"]);
        AssertSameUsage(plain["usage"]!, streamed["usage"]!);
        Assert.Equal(span["codes"]!.AsArray().Count, (int)plain["usage"]!["completion_tokens_details"]!["latent_tokens"]!);
    }

    [Fact]
    public void ChatHelper_OfTheClient_GathersTheSameAnswer()
    {
        Assert.Equal((string?)fixture.Saw["latents"]["content"], (string?)fixture.Saw["chatHelper"]["content"]);
        Assert.Equal("stop", (string?)fixture.Saw["chatHelper"]["finish"]);
    }

    [Fact]
    public void ReasoningEffort_Low_IsLatentAndTheNewLimitIsTheLimit() =>
        Assert.Equal(("latent", 64), ((string?)fixture.Saw["effort"]["mode"], (int)fixture.Saw["effort"]["max_tokens"]!));

    [Fact]
    public void Logprobs_OfTheAnswer_SpellIt()
    {
        var entries = fixture.Saw["logprobs"].AsArray();

        Assert.Equal((string?)fixture.Saw["latents"]["content"], string.Concat(entries.Select(entry => (string)entry!["token"]!)).TrimStart());
        Assert.All(entries, entry => Assert.Equal(2, (int)entry!["top"]!));
        Assert.All(entries, entry => Assert.True((double)entry!["logprob"]! <= 0));
    }

    [Fact]
    public void Choices_OfOneRequest_AreThoseOfTheirSeedsAloneWhetherStreamedOrNot()
    {
        var saw = fixture.Saw["choices"];
        string[] Texts(string name) => [.. saw[name]!.AsArray().Select(text => (string)text!)];

        Assert.Equal([0, 1, 2], saw["indexes"]!.AsArray().Select(index => (int)index!));
        Assert.Equal(Texts("alone"), Texts("three"));
        Assert.Equal(Texts("alone"), Texts("streamed"));
        Assert.Equal([1, 1, 1], saw["ends"]!.AsArray().Select(count => (int)count!));
        AssertSameUsage(saw["usage"]!, saw["streamedUsage"]!);
    }

    [Fact]
    public void Completions_PlainAndStreamed_AreTheSame()
    {
        var (plain, streamed) = (fixture.Saw["completion"], fixture.Saw["completionStream"]);

        Assert.NotEmpty((string)plain["text"]!);
        Assert.Equal(
            ((string?)plain["text"], (string?)plain["reasoning"], (string?)plain["finish"]),
            ((string?)streamed["text"], (string?)streamed["reasoning"], (string?)streamed["finish"]));
        AssertSameUsage(plain["usage"]!, streamed["usage"]!);
    }

    [Fact]
    public void Completions_SeveralPrompts_AreThoseOfEachAloneWhetherStreamedOrNot()
    {
        var saw = fixture.Saw["completions"];

        Assert.Equal("[0,1,2,3,4,5]", saw["indexes"]!.ToJsonString());
        Assert.Equal(saw["alone"]!.ToJsonString(), saw["together"]!.ToJsonString());
        Assert.Equal(saw["alone"]!.ToJsonString(), saw["streamed"]!.ToJsonString());
        Assert.Equal(saw["tokensAlone"]!.AsArray().Sum(count => (int)count!), (int)saw["tokens"]!);
    }

    [Fact]
    public void Responses_Plain_HasOutputTextReasoningAndTheUsageOfChat()
    {
        var response = fixture.Saw["response"];

        Assert.Equal(((string?)fixture.Saw["chat"]["content"], "completed"), ((string?)response["text"], (string?)response["status"]));
        Assert.Equal(["reasoning", "message"], response["output"]!.AsArray().Select(item => (string)item!["type"]!));
        Assert.Equal((string?)fixture.Saw["chat"]["reasoning"], (string?)response["output"]![0]!["content"]![0]!["text"]);
        var (chat, usage) = (fixture.Saw["chat"]["usage"]!, response["usage"]!);
        Assert.Equal(
            ((int)chat["prompt_tokens"]!, (int)chat["completion_tokens"]!, (int)chat["completion_tokens_details"]!["reasoning_tokens"]!),
            ((int)usage["input_tokens"]!, (int)usage["output_tokens"]!, (int)usage["output_tokens_details"]!["reasoning_tokens"]!));
        Assert.Equal(((string?)response["text"], "completed"), ((string?)fixture.Saw["responseHelper"]["text"], (string?)fixture.Saw["responseHelper"]["status"]));
    }

    [Fact]
    public void Responses_Streamed_HasTypedEventsInSequence()
    {
        var saw = fixture.Saw["responseStream"];
        var types = saw["types"]!.AsArray().Select(type => (string)type!).ToList();

        Assert.Equal("response.created", types[0]);
        Assert.Equal("response.completed", types[^1]);
        Assert.Contains("response.latent_reasoning.delta", types);
        Assert.Equal(Enumerable.Range(0, types.Count), saw["numbers"]!.AsArray().Select(number => (int)number!));
        Assert.Equal((string?)fixture.Saw["latents"]["content"], (string?)saw["text"]);
        Assert.Equal(fixture.Saw["latents"]["spans"]![0]!["codes"]!.ToJsonString(), saw["output"]![0]!["latent_reasoning"]!["spans"]![0]!["codes"]!.ToJsonString());
    }

    [Fact]
    public void Models_ListAndOne_AreTheServedModel()
    {
        Assert.Equal([fixture.Model], fixture.Saw["models"]["all"]!.AsArray().Select(id => (string)id!));
        Assert.Equal(fixture.Model, (string?)fixture.Saw["models"]["one"]);
    }

    [Theory]
    [InlineData("badParameter", "BadRequestError", 400, "invalid_value", "temperature")]
    [InlineData("badTools", "BadRequestError", 400, "invalid_value", "tools")]
    [InlineData("badFormat", "BadRequestError", 400, "invalid_value", "text.format")]
    [InlineData("badStream", "BadRequestError", 400, "invalid_value", "previous_response_id")]
    [InlineData("otherModel", "NotFoundError", 404, "model_not_found", "model")]
    public void Error_OfAnyKind_IsTheClientsTypedError(string scenario, string type, int status, string code, string param)
    {
        var error = fixture.Saw[scenario];

        Assert.Equal((type, status, code, param), ((string?)error["type"], (int)error["status"]!, (string?)error["code"], (string?)error["param"]));
        Assert.Contains(param, (string)error["message"]!, StringComparison.Ordinal);
        Assert.NotEmpty((string)error["requestId"]!);
    }

    [Fact]
    public async Task Cancellation_StreamAndPlain_FreesTheSlotsAndTheServerGoesOn()
    {
        Assert.Equal("APIUserAbortError", (string?)fixture.Saw["cancelled"]["type"]);
        await fixture.Server.WaitUntilIdleAsync();
        Assert.NotEmpty(Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest("latent"))).Answer);
    }

    // What is cached depends on who came before; seconds on the machine.
    private static void AssertSameUsage(JsonNode one, JsonNode other)
    {
        Assert.Equal(Comparable(one), Comparable(other));

        static string Comparable(JsonNode usage)
        {
            var copy = usage.DeepClone();
            copy["latent_savings"]!.AsObject().Remove("seconds_saved");
            copy.AsObject().Remove("prompt_tokens_details");
            return copy.ToJsonString();
        }
    }

    /// <summary>A server, and what the client's script saw of it.</summary>
    public sealed class Fixture : ServerFixture
    {
        internal IReadOnlyDictionary<string, JsonNode> Saw { get; private set; } = null!;

        public override async ValueTask InitializeAsync()
        {
            await base.InitializeAsync();
            Saw = await NodeScript.RunAsync("openai.mjs", Server.Rest.GetLeftPart(UriPartial.Authority), Model, Prompt);
        }
    }
}
