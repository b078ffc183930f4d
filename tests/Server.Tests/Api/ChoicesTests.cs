using System.Text.Json.Nodes;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api;

/// <summary>Several responses to one request, on both fronts; the scripted model says the same in each.</summary>
public sealed class ChoicesTests(ChoicesTests.Shared shared) : IClassFixture<ChoicesTests.Shared>
{
    private const string More = "\"n\":3,\"return_token_ids\":true,\"reasoning\":{\"latent_budget\":1}";

    private readonly TestServer _server = shared.Server;

    [Fact]
    public async Task Chat_ThreeChoices_HasThemInOrderAndCountsThePromptOnce()
    {
        var one = await _server.CompleteAsync(TestServer.Body("\"reasoning\":{\"latent_budget\":1}"));

        var three = await _server.CompleteAsync(TestServer.Body(More));

        var choices = three["choices"]!.AsArray();
        Assert.Equal([0, 1, 2], choices.Select(choice => (int)choice!["index"]!));
        Assert.All(choices, choice => Assert.Equal(one["choices"]![0]!["message"]!.ToJsonString(), choice!["message"]!.ToJsonString()));
        Assert.Equal((int)one["usage"]!["prompt_tokens"]!, (int)three["usage"]!["prompt_tokens"]!);
        Assert.Equal(3 * (int)one["usage"]!["completion_tokens"]!, (int)three["usage"]!["completion_tokens"]!);
        Assert.Equal(3, (int)three["usage"]!["completion_tokens_details"]!["latent_tokens"]!);
        Assert.Equal(3, (int)three["sampling"]!["n"]!);
    }

    [Fact]
    public async Task ChatStream_ThreeChoices_EachAddsUpAndEndsOnce()
    {
        var whole = await _server.CompleteAsync(TestServer.Body(More));

        var chunks = (await _server.StreamAsync(TestServer.Body(More + ",\"stream\":true,\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}")))
            .SkipLast(1).Select(data => JsonNode.Parse(data)!).ToList();

        for (var index = 0; index < 3; index++)
        {
            var mine = chunks.SelectMany(chunk => chunk["choices"]!.AsArray()).Where(choice => (int)choice!["index"]! == index).ToList();
            var message = whole["choices"]![index]!["message"]!;
            Assert.Equal((string?)message["content"], string.Concat(mine.Select(choice => (string?)choice!["delta"]!["content"])));
            Assert.Equal((string?)message["reasoning"], string.Concat(mine.Select(choice => (string?)choice!["delta"]!["reasoning"])));
            Assert.Equal("assistant", (string?)mine[0]!["delta"]!["role"]);
            Assert.Equal(["stop"], mine.Select(choice => (string?)choice!["finish_reason"]).Where(reason => reason is not null));
            Assert.Equal(
                whole["choices"]![index]!["token_ids"]!.AsArray().Select(id => (int)id!),
                mine.Where(choice => choice!["token_ids"] is not null).SelectMany(choice => choice!["token_ids"]!.AsArray()).Select(id => (int)id!));
        }
        var usages = chunks.Select(chunk => (int)chunk["usage"]!["completion_tokens"]!).ToList();
        Assert.Equal(usages.Order(), usages);
        Assert.Equal((int)whole["usage"]!["completion_tokens"]!, usages[^1]);
        Assert.Equal(chunks.Where(chunk => chunk["timings"] is not null), chunks.Where(chunk => chunk["choices"]!.AsArray().Any(choice => choice!["finish_reason"] is not null)).TakeLast(1));
    }

    [Fact]
    public async Task Completions_TwoChoices_AreBothThereInEitherForm()
    {
        const string Body = """{"prompt":"Tom?","n":2,"reasoning":{"mode":"text"}""";
        var whole = await _server.AnswerAsync("/v1/completions", Body + "}");
        var chunks = (await _server.EventsAsync("/v1/completions", Body + ",\"stream\":true}")).SkipLast(1).Select(e => JsonNode.Parse(e.Data)!).ToList();

        Assert.Equal(["True", "True"], whole["choices"]!.AsArray().Select(choice => (string)choice!["text"]!));
        foreach (var index in (int[])[0, 1])
        {
            var mine = chunks.SelectMany(chunk => chunk["choices"]!.AsArray()).Where(choice => (int)choice!["index"]! == index).ToList();
            Assert.Equal("True", string.Concat(mine.Select(choice => (string?)choice!["text"])));
            Assert.Equal(["stop"], mine.Select(choice => (string?)choice!["finish_reason"]).Where(reason => reason is not null));
        }
    }

    [Fact]
    public async Task Grpc_ThreeChoices_EndOneByOneAndThenAllWithTheNumbersOfRest()
    {
        var rest = (await _server.CompleteAsync(TestServer.Body("\"n\":3,\"reasoning\":{\"mode\":\"latent\"}")))["usage"]!;
        var request = GrpcCalls.NewRequest(ReasoningMode.Latent);
        request.N = 3;

        var events = await _server.GenerateAsync(request);
        using var client = _server.NewClient();
        var once = await client.UnaryAsync("/tessera.v1.Inference/GenerateOnce", request, GenerateResponse.Parser);

        Assert.Equal([0u, 1u, 2u], events.Where(e => e.ChoiceFinished is not null).Select(e => e.Choice).Order());
        Assert.Equal(GenerateEvent.EventOneofCase.Finished, events[^1].EventCase);
        var usage = events[^1].Finished.Usage;
        Assert.Equal(((int)rest["prompt_tokens"]!, (int)rest["completion_tokens"]!), ((int)usage.PromptTokens, (int)usage.CompletionTokens));
        Assert.Equal(usage.CompletionTokens, (uint)events.Where(e => e.ChoiceFinished is not null).Sum(e => e.ChoiceFinished.Usage.CompletionTokens));
        foreach (var choice in once.Choices)
        {
            var mine = events.Where(e => e.Choice == choice.Index).ToList();
            Assert.Equal("True", string.Concat(mine.Select(e => e.Answer?.Text)));
            Assert.Equal("True", choice.Answer.Text);
            Assert.Equal(mine.Where(e => e.Latent is { HasHint: false }).SelectMany(e => e.Latent.Codes), choice.Spans.SelectMany(span => span.Codes));
        }
        Assert.Equal([0u, 1u, 2u], once.Choices.Select(choice => choice.Index));
        Assert.Equal(3u, once.Accepted.Effective.N);
    }

    public sealed class Shared : SharedServer;
}
