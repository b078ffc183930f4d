using System.Text.Json.Nodes;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Grpc;

public sealed class GenerateTests
{
    private static uint[] AnswerIds(TestServer server) => [.. server.Package.Tokenizer.Encode(" True").Select(id => (uint)id)];

    [Fact]
    public async Task Generate_LatentMode_StreamsCodesHintsAnswerAndOneFinished()
    {
        await using var server = await TestServer.StartAsync();

        var events = await server.GenerateAsync(GrpcCalls.NewRequest(ReasoningMode.Latent));

        Assert.Equal(GenerateEvent.EventOneofCase.Accepted, events[0].EventCase);
        Assert.Equal(GenerateEvent.EventOneofCase.Finished, events[^1].EventCase);
        Assert.Single(events, e => e.EventCase == GenerateEvent.EventOneofCase.Accepted);
        Assert.Single(events, e => e.EventCase == GenerateEvent.EventOneofCase.Finished);
        var latents = events.Where(e => e.Latent is not null).Select(e => e.Latent).ToList();
        Assert.Equal(
            [new() { Index = 0, Codes = { 0 } }, new LatentDelta { Index = 1, Codes = { 1 } }],
            latents.Where(latent => !latent.HasHint));
        Assert.Equal(
            [
                new() { Index = 0, Codes = { 0 }, Hint = "hint 0", Confidence = 0.5f },
                new LatentDelta { Index = 1, Codes = { 1 }, Hint = "hint 1", Confidence = 0.5f },
            ],
            latents.Where(latent => latent.HasHint));
        Assert.Empty(string.Concat(events.Select(e => e.Reasoning?.Text)));
        Assert.Equal("True", string.Concat(events.Select(e => e.Answer?.Text)));
        Assert.Equal(AnswerIds(server), events.Where(e => e.Answer is not null).SelectMany(e => e.Answer.TokenIds).Take(AnswerIds(server).Length));
    }

    [Fact]
    public async Task Generate_LatentMode_CountsTokensAndSavings()
    {
        await using var server = await TestServer.StartAsync();

        var finished = (await server.GenerateAsync(GrpcCalls.NewRequest(ReasoningMode.Latent)))[^1].Finished;

        var answer = (uint)AnswerIds(server).Length + 1;
        Assert.Equal("stop", finished.Reason);
        var (usage, savings) = (finished.Usage, finished.Savings);
        Assert.Equal((2u, 3u, 0u, answer), (usage.LatentTokens, usage.ControlTokens, usage.ReasoningTextTokens, usage.AnswerTokens));
        Assert.Equal(5 + answer, usage.CompletionTokens);

        // Two hints of 5 tokens against two latents and two delimiters.
        Assert.Equal((2u, 10d, 6d, 6d), (savings.LatentTokens, savings.TextEquivalentTokens, savings.TokensSaved, savings.StepsSaved));
        Assert.Equal(6d / (usage.CompletionTokens + 6), savings.FractionSaved, 12);
        Assert.Equal(6d * 1024, savings.KvBytesSaved);
        Assert.Equal("estimated", savings.Basis);
        Assert.InRange(finished.Timings.TotalSeconds, finished.Timings.TimeToFirstTokenSeconds, 120);
    }

    [Fact]
    public async Task Generate_TextMode_StreamsTheReasoningAsText()
    {
        await using var server = await TestServer.StartAsync();

        var events = await server.GenerateAsync(GrpcCalls.NewRequest(ReasoningMode.Text));

        Assert.DoesNotContain(events, e => e.Latent is not null);
        Assert.Equal("Tom is a wumpus. Every wumpus is a lempus.", string.Concat(events.Select(e => e.Reasoning?.Text)));
        Assert.Equal("True", string.Concat(events.Select(e => e.Answer?.Text)));
        Assert.Equal((uint)events.Sum(e => e.Reasoning?.TokenIds.Count ?? 0), events[^1].Finished.Usage.ReasoningTextTokens);
        Assert.Equal(0d, events[^1].Finished.Savings.TokensSaved);
    }

    [Fact]
    public async Task Generate_ExplainOff_SendsNoHints()
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest(ReasoningMode.Latent);
        request.Reasoning.Explain = false;

        var events = await server.GenerateAsync(request);

        Assert.Equal(2, events.Count(e => e.Latent is not null));
        Assert.DoesNotContain(events, e => e.Latent is { HasHint: true });
        Assert.False(events[0].Accepted.Effective.Explain);
    }

    [Fact]
    public async Task Generate_EveryOption_IsEchoedAsEffective()
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest(ReasoningMode.Latent);
        request.Model = "tiny";
        request.RequestId = "my-request";
        request.MaxTokens = 40;
        request.Reasoning.LatentBudget = 1;
        request.Reasoning.ThinkingBudget = 30;
        request.Sampling = new()
        {
            Temperature = 0,
            TopK = 3,
            TopP = 0.5f,
            Seed = 7,
            MinP = 0.25f,
            RepetitionPenalty = 1.5f,
            FrequencyPenalty = 0.5f,
            PresencePenalty = -0.5f,
        };
        request.MinTokens = 4;
        request.Logprobs = 2;
        request.N = 1;

        var events = await server.GenerateAsync(request);

        var accepted = events[0].Accepted;
        Assert.Equal(("my-request", "tiny"), (accepted.RequestId, accepted.Model));
        Assert.Equal(
            new EffectiveOptions
            {
                Mode = ReasoningMode.Latent,
                LatentBudget = 1,
                ThinkingBudget = 30,
                MaxTokens = 40,
                TopK = 3,
                TopP = 0.5f,
                Seed = 7,
                Explain = true,
                MinP = 0.25f,
                RepetitionPenalty = 1.5f,
                FrequencyPenalty = 0.5f,
                PresencePenalty = -0.5f,
                MinTokens = 4,
                N = 1,
                Logprobs = 2,
            },
            accepted.Effective);
        Assert.Equal(accepted.PromptTokens, events[^1].Finished.Usage.PromptTokens);
        Assert.Equal([0u], events.Where(e => e.Latent is { HasHint: false }).SelectMany(e => e.Latent.Codes));
    }

    [Fact]
    public async Task Generate_MaxTokensReached_FinishesWithLength()
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest(ReasoningMode.Text);
        request.MaxTokens = 3;

        var finished = (await server.GenerateAsync(request))[^1].Finished;

        Assert.Equal(("length", 3u), (finished.Reason, finished.Usage.CompletionTokens));
    }

    [Fact]
    public async Task Generate_Prompt_IsUsedAsItIs()
    {
        await using var server = await TestServer.StartAsync();

        var events = await server.GenerateAsync(new GenerateRequest { Prompt = TestServer.Prompt });

        Assert.Equal("True", string.Concat(events.Select(e => e.Answer?.Text)));
        Assert.Equal((uint)server.Package.Tokenizer.Encode(TestServer.Prompt).Length + 1, events[0].Accepted.PromptTokens);
    }

    [Theory]
    [InlineData(ReasoningMode.Auto, "auto")]
    [InlineData(ReasoningMode.Latent, "latent")]
    [InlineData(ReasoningMode.Text, "text")]
    [InlineData(ReasoningMode.None, "none")]
    public async Task Generate_AnyMode_HasTheNumbersOfRest(ReasoningMode mode, string name)
    {
        await using var server = await TestServer.StartAsync();

        var rest = (await server.CompleteAsync(TestServer.Body($$"""  "reasoning":{"mode":"{{name}}"}  """)))["usage"]!;
        var finished = (await server.GenerateAsync(GrpcCalls.NewRequest(mode)))[^1].Finished;

        var (usage, savings) = (finished.Usage, finished.Savings);
        Assert.Equal(Number(rest, "prompt_tokens"), usage.PromptTokens);
        Assert.Equal(Number(rest, "completion_tokens"), usage.CompletionTokens);
        Assert.Equal(Number(rest, "prompt_tokens_details", "cached_tokens"), usage.CachedTokens);
        Assert.Equal(Number(rest, "completion_tokens_details", "latent_tokens"), usage.LatentTokens);
        Assert.Equal(Number(rest, "completion_tokens_details", "control_tokens"), usage.ControlTokens);
        Assert.Equal(Number(rest, "completion_tokens_details", "reasoning_text_tokens"), usage.ReasoningTextTokens);
        Assert.Equal(Number(rest, "latent_savings", "latent_tokens"), savings.LatentTokens);
        Assert.Equal(Number(rest, "latent_savings", "text_equivalent_tokens"), savings.TextEquivalentTokens);
        Assert.Equal(Number(rest, "latent_savings", "tokens_saved"), savings.TokensSaved);
        Assert.Equal(Number(rest, "latent_savings", "fraction_saved"), savings.FractionSaved);
        Assert.Equal(Number(rest, "latent_savings", "steps_saved"), savings.StepsSaved);
        Assert.Equal(Number(rest, "latent_savings", "kv_bytes_saved"), savings.KvBytesSaved);
        Assert.Equal((string?)rest["latent_savings"]!["basis"], savings.Basis);
    }

    private static double Number(JsonNode node, params string[] path) => (double)path.Aggregate(node, (current, name) => current[name]!);
}
