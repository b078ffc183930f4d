using System.Net;
using System.Text.Json.Nodes;
using Tessera.Engine;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>Several prompts in one request for completions: as OpenAI has them, each prompt as if it had come alone.</summary>
public sealed class SeveralPromptsTests(SeveralPromptsTests.Shared shared) : IClassFixture<SeveralPromptsTests.Shared>
{
    private const string Path = "/v1/completions";
    private const string Fields = "\"n\":2,\"seed\":7,\"temperature\":1,\"reasoning\":{\"latent_budget\":1}";

    private static readonly string[] Prompts = ["Tom is a wumpus.", "Tom", "Every wumpus is a lempus?"];

    private readonly TestServer _server = shared.Server;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_SeveralPrompts_GivesTheChoicesOfEachInOrderAndTheSumOfTheirUsage(bool asIds)
    {
        var alone = new List<JsonNode>();
        foreach (var prompt in Prompts)
        {
            alone.Add(await _server.AnswerAsync(Path, Body(JsonValue.Create(prompt)!)));
        }

        var together = await _server.AnswerAsync(Path, Body(asIds ? Ids() : Texts()));

        var choices = together["choices"]!.AsArray();
        Assert.Equal(Enumerable.Range(0, 6), choices.Select(choice => (int)choice!["index"]!));
        Assert.Equal(alone.SelectMany(answer => answer["choices"]!.AsArray()).Select(WithoutIndex), choices.Select(WithoutIndex));
        foreach (var name in (string[])["prompt_tokens", "completion_tokens", "total_tokens"])
        {
            Assert.Equal(alone.Sum(answer => (int)answer["usage"]![name]!), (int)together["usage"]![name]!);
        }

        Assert.Equal(
            alone.Sum(answer => (double)answer["usage"]!["latent_savings"]!["tokens_saved"]!), (double)together["usage"]!["latent_savings"]!["tokens_saved"]!);
        Assert.Equal(alone.Sum(answer => (int)answer["usage"]!["completion_tokens_details"]!["latent_tokens"]!), (int)together["usage"]!["completion_tokens_details"]!["latent_tokens"]!);
    }

    [Fact]
    public async Task Post_Stream_AddsUpToTheWholeAnswer()
    {
        var whole = await _server.AnswerAsync(Path, Body(Texts()));

        var events = await _server.EventsAsync(
            Path, Body(Texts(), ",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true},\"return_token_ids\":true"));

        Assert.Equal("[DONE]", events[^1].Data);
        var chunks = events.SkipLast(1).Select(happened => JsonNode.Parse(happened.Data)!).ToList();
        var parts = chunks.SelectMany(chunk => chunk["choices"]!.AsArray()).ToLookup(part => (int)part!["index"]!, part => part!);
        Assert.Equal(Enumerable.Range(0, 6), parts.Select(part => part.Key).Order());
        foreach (var choice in whole["choices"]!.AsArray())
        {
            var own = parts[(int)choice!["index"]!].ToList();
            Assert.Equal((string?)choice["text"], string.Concat(own.Select(part => (string?)part["text"])));
            Assert.Equal((string?)choice["reasoning"], string.Concat(own.Select(part => (string?)part["reasoning"])));
            Assert.Equal([(string?)choice["finish_reason"]], own.Select(part => (string?)part["finish_reason"]).Where(reason => reason is not null));
            int[] prompt = [.. _server.Package.Tokenizer.Encode(Prompts[(int)choice["index"]! / 2]), _server.Package.Vocabulary.ThinkId];
            Assert.Equal(prompt, own[0]["prompt_token_ids"]!.AsArray().Select(id => (int)id!));
        }

        Assert.Empty(chunks[^1]["choices"]!.AsArray());
        Assert.Equal(Counts(whole["usage"]!), Counts(chunks[^1]["usage"]!));
        Assert.Single(chunks, chunk => chunk["timings"] is not null);
    }

    [Fact]
    public async Task Post_PromptCount_AtTheBoundIsAnsweredAndPastItIsRefused()
    {
        var bound = (int)(await _server.InfoAsync())["limits"]!["max_prompts"]!;
        static string Many(int count) => $"{{\"prompt\":[{string.Join(',', Enumerable.Repeat("\"Tom\"", count))}],\"max_tokens\":1}}";

        var within = await _server.AnswerAsync(Path, Many(bound));
        using var past = await _server.PostToAsync(Path, Many(bound + 1));

        Assert.Equal(16, bound);
        Assert.Equal(bound, within["choices"]!.AsArray().Count);
        Assert.Equal($"prompt: expected at most {bound} prompts, found {bound + 1}", await ErrorAssert.IsAsync(past, HttpStatusCode.BadRequest, "invalid_value", "prompt"));
    }

    [Fact]
    public async Task Post_QueueHasRoomForSomeOfThePrompts_TakesNoneOfThem()
    {
        await using var server = await TestServer.StartAsync(engine: new EngineOptions { MaxSlots = 1, MaxQueuedRequests = 4 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.CompleteAsync(TestServer.Body());
        await gate.WhenArrivedAsync();
        var waiting = server.CompleteAsync(TestServer.Body());
        await server.WaitForStatusAsync(status => status.WaitingCount == 1);

        using var past = await server.PostToAsync(Path, """{"prompt":["Tom","Tom","Tom","Tom"]}""");
        Assert.Equal(1, server.Engine.GetStatus().WaitingCount);
        var within = server.AnswerAsync(Path, """{"prompt":["Tom","Tom","Tom"]}""");
        await server.WaitForStatusAsync(status => status.WaitingCount == 4);
        gate.Open();

        await ErrorAssert.IsAsync(past, HttpStatusCode.TooManyRequests, "queue_full", null);
        Assert.Equal(3, (await within)["choices"]!.AsArray().Count);
        await Task.WhenAll(running, waiting);
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, WaitingTokens: 0, KvPositionsInUse: 0 });
    }

    [Fact]
    public async Task Post_StepFails_IsOneErrorForTheWholeRequest()
    {
        await using var server = await TestServer.StartAsync();
        server.Runner.BeforeRun = _ => throw new InvalidOperationException("secret");

        using var response = await server.PostToAsync(Path, """{"prompt":["Tom","Tom"]}""");

        Assert.DoesNotContain("secret", await ErrorAssert.IsAsync(response, HttpStatusCode.InternalServerError, "internal_error", null), StringComparison.Ordinal);
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
    }

    [Fact]
    public async Task Post_ClientGoesAway_EveryPromptIsCancelled()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        using var gone = new CancellationTokenSource();
        using var content = new StringContent("""{"prompt":["Tom","Tom","Tom"]}""", null, "application/json");
        var request = server.Client.PostAsync(Path, content, gone.Token);
        await gate.WhenArrivedAsync();

        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await server.WaitForLogAsync(" 499 in ");
        gate.Open();

        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
        var page = await server.MetricsAsync(page => page.Sum("tessera_requests_total") == 3);
        Assert.Equal(3, page.Value("tessera_requests_total", ("protocol", "rest"), ("outcome", "cancelled"), ("operation", "text_completion")));
    }

    private static string Body(JsonNode prompt, string more = "") => $"{{\"model\":\"tiny\",\"prompt\":{prompt.ToJsonString()},{Fields}{more}}}";

    private static JsonArray Texts() => [.. Prompts.Select(prompt => (JsonNode)prompt)];

    private JsonArray Ids() => [.. Prompts.Select(prompt => new JsonArray([.. _server.Package.Tokenizer.Encode(prompt).Select(id => (JsonNode)id)]))];

    private static string WithoutIndex(JsonNode? choice)
    {
        var copy = choice!.DeepClone().AsObject();
        copy.Remove("index");
        return copy.ToJsonString();
    }

    private static (int, int, int) Counts(JsonNode usage) => ((int)usage["prompt_tokens"]!, (int)usage["completion_tokens"]!, (int)usage["total_tokens"]!);

    public sealed class Shared : SharedServer;
}
