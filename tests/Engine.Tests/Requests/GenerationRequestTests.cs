using Tessera.Engine.Requests;
using Tessera.Engine.Tests.Engine;
using Tessera.Models;

namespace Tessera.Engine.Tests.Requests;

public sealed class GenerationRequestTests
{
    // The tiny package has 256 positions, so these are reachable.
    private static readonly EngineOptions Options = new() { MaxTokensLimit = 200, DefaultMaxTokens = 100 };

    [Fact]
    public void TryCreate_WithPromptAlone_FillsInDefaults()
    {
        var request = Valid(new GenerationInput { Prompt = " Tom is a" });

        Assert.Equal(TestModel.Package.Tokenizer.Encode(" Tom is a"), request.PromptIds);
        Assert.Equal(100, request.MaxTokens);
        Assert.Equal(new ReasoningOptions(ReasoningMode.Auto, null, null, Explain: true), request.Reasoning);
        Assert.Equal(new SamplingOptions(0, 0, 1, 0), request.Sampling);
        Assert.Empty(request.Stop);
        Assert.StartsWith("req-", request.RequestId, StringComparison.Ordinal);
    }

    [Fact]
    public void TryCreate_WithEverything_KeepsIt()
    {
        var request = Valid(new GenerationInput
        {
            RequestId = "mine",
            Chat = [new ChatTurn("system", "Every"), new ChatTurn("user", " Tom")],
            MaxTokens = 7,
            Mode = "latent",
            LatentBudget = 5,
            ThinkingBudget = 9,
            Explain = false,
            Temperature = 0.5,
            TopK = 40,
            TopP = 0.9,
            Seed = 9007199254740992,
            Stop = ["a", "b"],
        });

        Assert.Equal("mine", request.RequestId);
        Assert.Equal(TestModel.Package.EncodeChat([new ChatTurn("system", "Every"), new ChatTurn("user", " Tom")]), request.PromptIds);
        Assert.Equal(7, request.MaxTokens);
        Assert.Equal(new ReasoningOptions(ReasoningMode.Latent, 5, 9, Explain: false), request.Reasoning);
        Assert.Equal(new SamplingOptions(0.5f, 40, 0.9f, 1UL << 53), request.Sampling);
        Assert.Equal(["a", "b"], request.Stop);
    }

    [Fact]
    public void TryCreate_SampledWithoutSeed_TakesOneFromTheSource()
    {
        GenerationRequest.TryCreate(
            new GenerationInput { Prompt = " Tom", Temperature = 1 }, TestModel.Package, Options, GenerationFieldNames.Rest, out var request, out _, () => 77);

        Assert.Equal(77UL, request!.Sampling.Seed);
    }

    [Fact]
    public void TryCreate_WithSpecialTokenInPrompt_TakesItAsText()
    {
        var request = Valid(new GenerationInput { Prompt = "<think><latent_0>" });

        Assert.All(request.PromptIds, id => Assert.Equal(TokenKind.Text, TestModel.Vocabulary.KindOf(id)));
    }

    [Fact]
    public void TryCreate_OfLongPromptWithoutMaxTokens_TakesTheRoom()
    {
        var request = Valid(new GenerationInput { Prompt = Toms(200) });

        // 256 positions, 200 of the prompt, one for <think>.
        Assert.Equal(55, request.MaxTokens);
    }

    [Theory]
    [InlineData(double.NaN, "must be a whole number from 1 to 200; got NaN")]
    [InlineData(double.PositiveInfinity, "must be a whole number from 1 to 200; got Infinity")]
    [InlineData(-1.0, "must be a whole number from 1 to 200; got -1")]
    [InlineData(0.0, "must be a whole number from 1 to 200; got 0")]
    [InlineData(1.5, "must be a whole number from 1 to 200; got 1.5")]
    [InlineData(1e300, "must be a whole number from 1 to 200; got 1E+300")]
    [InlineData(201.0, "must be a whole number from 1 to 200; got 201")]
    public void TryCreate_WithBadMaxTokens_NamesIt(double value, string message) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", MaxTokens = value }, "max_tokens", message);

    [Theory]
    [InlineData(double.NaN, "must be a number from 0 to 2; got NaN")]
    [InlineData(-0.1, "must be a number from 0 to 2; got -0.1")]
    [InlineData(2.1, "must be a number from 0 to 2; got 2.1")]
    [InlineData(double.NegativeInfinity, "must be a number from 0 to 2; got -Infinity")]
    public void TryCreate_WithBadTemperature_NamesIt(double value, string message) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", Temperature = value }, "temperature", message);

    [Theory]
    [InlineData(0.0, "must be a number above 0 and at most 1; got 0")]
    [InlineData(1e-60, "must be a number above 0 and at most 1; got 1E-60")]
    [InlineData(1.01, "must be a number above 0 and at most 1; got 1.01")]
    public void TryCreate_WithBadTopP_NamesIt(double value, string message) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", TopP = value }, "top_p", message);

    [Theory]
    [InlineData(-1.0)]
    [InlineData(0.5)]
    [InlineData(1e7)]
    public void TryCreate_WithBadTopK_NamesIt(double value) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", TopK = value }, "top_k", $"must be a whole number from 0 to 1000000; got {value}");

    [Theory]
    [InlineData(-1.0, "-1")]
    [InlineData(1e18, "1E+18")]
    public void TryCreate_WithBadSeed_NamesIt(double value, string shown) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", Seed = value }, "seed", $"must be a whole number from 0 to 9007199254740992; got {shown}");

    [Theory]
    [InlineData("LATENT", "'LATENT'")]
    [InlineData("", "''")]
    public void TryCreate_WithUnknownMode_ListsTheModes(string mode, string shown) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", Mode = mode }, "reasoning.mode", $"must be one of auto, latent, text, none; got {shown}");

    [Theory]
    [InlineData("none", 3.0, null, "reasoning.latent_budget", "must be 0 or absent when reasoning.mode is none, which writes no latents; got 3")]
    [InlineData("text", 3.0, null, "reasoning.latent_budget", "must be 0 or absent when reasoning.mode is text, which writes no latents; got 3")]
    [InlineData("none", null, 3.0, "reasoning.thinking_budget", "must be 0 or absent when reasoning.mode is none, which does no reasoning; got 3")]
    [InlineData("latent", null, 2.0, "reasoning.thinking_budget", "must be at least 3 when reasoning.mode is latent, which forces some reasoning; got 2")]
    [InlineData("text", null, 0.0, "reasoning.thinking_budget", "must be at least 1 when reasoning.mode is text, which forces some reasoning; got 0")]
    [InlineData("auto", -1.0, null, "reasoning.latent_budget", "must be a whole number from 0 to 200; got -1")]
    [InlineData("auto", null, 1e9, "reasoning.thinking_budget", "must be a whole number from 0 to 200; got 1000000000")]
    public void TryCreate_WithBadBudget_SaysWhy(string mode, double? latentBudget, double? thinkingBudget, string field, string message) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", Mode = mode, LatentBudget = latentBudget, ThinkingBudget = thinkingBudget }, field, message);

    [Fact]
    public void TryCreate_WithoutPrompt_NamesBothFields() => AssertProblem(new GenerationInput(), "prompt", "is required: give prompt or messages");

    [Fact]
    public void TryCreate_WithPromptAndChat_NamesBothFields() =>
        AssertProblem(new GenerationInput { Prompt = "a", Chat = [new ChatTurn("user", "b")] }, "prompt", "must not be given together with messages");

    [Fact]
    public void TryCreate_WithEmptyPrompt_NamesIt() => AssertProblem(new GenerationInput { Prompt = "" }, "prompt", "must not be empty");

    [Fact]
    public void TryCreate_WithoutMessages_NamesThem() => AssertProblem(new GenerationInput { Chat = [] }, "messages", "must have at least one message");

    [Fact]
    public void TryCreate_WithBadMessages_NamesEachOne()
    {
        var problems = Problems(new GenerationInput { Chat = [new ChatTurn("user", ""), new ChatTurn("robot", "x")] });

        Assert.Equal(
            [
                new FieldProblem("messages[0].content", "must not be empty"),
                new FieldProblem("messages[1].role", "must be one of system, user, assistant; got 'robot'"),
            ],
            problems);
    }

    [Theory]
    [InlineData(255)]
    [InlineData(400)]
    public void TryCreate_OfPromptAbovePositions_NamesBothNumbers(int tokens) =>
        AssertProblem(
            new GenerationInput { Prompt = Toms(tokens) }, "prompt",
            $"must have at most 254 tokens, so that <think> and one token fit into 256 positions; got {tokens} tokens");

    [Fact]
    public void TryCreate_OfLongestPrompt_LeavesOneToken() => Assert.Equal(1, Valid(new GenerationInput { Prompt = Toms(254) }).MaxTokens);

    [Fact]
    public void TryCreate_OfHugePrompt_RefusesItBeforeTokenising() =>
        AssertProblem(
            new GenerationInput { Chat = [new ChatTurn("user", new string('x', 5000))] }, "messages",
            "must have at most 4096 characters for the 256 positions of this model; got 5000");

    [Fact]
    public void TryCreate_WithMaxTokensAboveRoom_NamesBothNumbers() =>
        AssertProblem(
            new GenerationInput { Prompt = Toms(200), MaxTokens = 56 }, "max_tokens",
            "must be at most 55, the room that a prompt of 200 tokens leaves in 256 positions; got 56");

    [Fact]
    public void TryCreate_WithSmallKvCache_CountsItsPositions()
    {
        var small = Options with { MaxKvPositions = 20 };
        GenerationRequest.TryCreate(new GenerationInput { Prompt = Toms(9) }, TestModel.Package, small, GenerationFieldNames.Rest, out var request, out _);

        Assert.Equal(10, request!.MaxTokens);
    }

    [Fact]
    public void TryCreate_WithBadStops_NamesEachOne()
    {
        AssertProblem(new GenerationInput { Prompt = " Tom", Stop = ["a", "b", "c", "d", "e"] }, "stop", "must have at most 4 entries; got 5");
        AssertProblem(new GenerationInput { Prompt = " Tom", Stop = ["a", ""] }, "stop[1]", "must have 1 to 64 characters; got 0");
        AssertProblem(new GenerationInput { Prompt = " Tom", Stop = [new string('a', 65)] }, "stop[0]", "must have 1 to 64 characters; got 65");
    }

    [Theory]
    [InlineData("with space", 10)]
    [InlineData("line\nbreak", 10)]
    public void TryCreate_WithBadRequestId_NamesIt(string id, int length) =>
        AssertProblem(new GenerationInput { Prompt = " Tom", RequestId = id }, "request_id", $"must be at most 128 visible ASCII characters; got {length} characters");

    [Fact]
    public void TryCreate_WithManyProblems_ReportsAllUnderTheCallersNames()
    {
        var input = new GenerationInput { Chat = [], MaxTokens = -1, Mode = "x", Temperature = 9, TopK = -1, TopP = 2, Seed = -1, Stop = [""] };

        GenerationRequest.TryCreate(input, TestModel.Package, Options, GenerationFieldNames.Grpc, out var request, out var problems);

        Assert.Null(request);
        Assert.Equal(
            ["reasoning.mode", "sampling.temperature", "sampling.top_k", "sampling.top_p", "sampling.seed", "stop[0]", "max_tokens", "chat.messages"],
            problems.Select(problem => problem.Field));
    }

    [Fact]
    public void TryCreate_WithSampling_KeepsIt()
    {
        var request = Valid(new GenerationInput
        {
            PromptIds = [5, 6],
            MinP = 0.25,
            RepetitionPenalty = 1.5,
            FrequencyPenalty = -2,
            PresencePenalty = 2,
            LogitBias = new Dictionary<int, double> { [3] = -100 },
            MinTokens = 4,
            StopTokenIds = [9, 8],
            Logprobs = 20,
            N = 8,
            Timeout = TimeSpan.FromSeconds(2),
            CacheSalt = "tenant",
        });

        Assert.Equal([5, 6], request.PromptIds);
        var sampling = request.Sampling;
        Assert.Equal((0.25f, 1.5f, -2f, 2f), (sampling.MinP, sampling.RepetitionPenalty, sampling.FrequencyPenalty, sampling.PresencePenalty));
        Assert.Equal([new KeyValuePair<int, float>(3, -100)], sampling.LogitBias!);
        Assert.Equal((4, 20, 8, TimeSpan.FromSeconds(2), "tenant"), (request.MinTokens, request.Logprobs, request.N, request.Timeout, request.CacheSalt));
        Assert.Equal([9, 8], request.StopTokenIds);
    }

    public static TheoryData<GenerationInput, string, string> BadFields => new()
    {
        { new() { MinP = 1.1 }, "min_p", "must be a number from 0 to 1; got 1.1" },
        { new() { RepetitionPenalty = 0 }, "repetition_penalty", "must be a number above 0 and at most 10; got 0" },
        { new() { FrequencyPenalty = 2.5 }, "frequency_penalty", "must be a number from -2 to 2; got 2.5" },
        { new() { PresencePenalty = double.NaN }, "presence_penalty", "must be a number from -2 to 2; got NaN" },
        { new() { LogitBias = new Dictionary<int, double> { [4] = 101 } }, "logit_bias.4", "must be a number from -100 to 100; got 101" },
        { new() { LogitBias = new Dictionary<int, double> { [-1] = 1 } }, "logit_bias", $"must name ids of the vocabulary, 0 to {TestModel.Vocabulary.Size - 1}; got -1" },
        { new() { LogitBias = Enumerable.Range(0, 301).ToDictionary(id => id, _ => 1.0) }, "logit_bias", "must have at most 300 entries; got 301" },
        { new() { MinTokens = 201 }, "min_tokens", "must be a whole number from 0 to 200; got 201" },
        { new() { MinTokens = 9, MaxTokens = 8 }, "min_tokens", "must be at most max_tokens, which is 8; got 9" },
        { new() { StopTokenIds = [.. Enumerable.Range(0, 17)] }, "stop_token_ids", "must have at most 16 entries; got 17" },
        { new() { StopTokenIds = [1, -3] }, "stop_token_ids[1]", $"must be an id of the vocabulary, 0 to {TestModel.Vocabulary.Size - 1}; got -3" },
        { new() { Logprobs = 21 }, "top_logprobs", "must be a whole number from 0 to 20; got 21" },
        { new() { Logprobs = -1 }, "top_logprobs", "must be a whole number from 0 to 20; got -1" },
        { new() { N = 9 }, "n", "must be a whole number from 1 to 8; got 9" },
        { new() { N = 0 }, "n", "must be a whole number from 1 to 8; got 0" },
        { new() { Timeout = TimeSpan.Zero }, "timeout", "must be above 0 and at most 86400 seconds; got 0" },
        { new() { Timeout = TimeSpan.FromDays(2) }, "timeout", "must be above 0 and at most 86400 seconds; got 172800" },
        { new() { CacheSalt = new string('x', 257) }, "cache_salt", "must have at most 256 characters; got 257" },
    };

    [Theory]
    [MemberData(nameof(BadFields))]
    public void TryCreate_WithBadField_NamesIt(GenerationInput input, string field, string message) =>
        AssertProblem(input with { Prompt = " Tom" }, field, message);

    [Fact]
    public void TryCreate_WithMoreResponsesThanSlots_NamesTheLimit()
    {
        var few = Options with { MaxSlots = 2 };
        GenerationRequest.TryCreate(new GenerationInput { Prompt = " Tom", N = 3 }, TestModel.Package, few, GenerationFieldNames.Rest, out _, out var problems);

        Assert.Equal(new FieldProblem("n", "must be a whole number from 1 to 2; got 3"), Assert.Single(problems));
    }

    [Fact]
    public void TryCreate_WithMoreResponsesThanPositions_NamesBothNumbers()
    {
        var small = Options with { MaxKvPositions = 20 };
        GenerationRequest.TryCreate(
            new GenerationInput { Prompt = " Tom", N = 3, MaxTokens = 5 }, TestModel.Package, small, GenerationFieldNames.Rest, out _, out var problems);

        Assert.Equal(new FieldProblem("n", "3 responses may take 21 positions, the KV cache has 20"), Assert.Single(problems));
    }

    [Fact]
    public void TryCreate_WithBadPromptIds_NamesTheFirst()
    {
        AssertProblem(new GenerationInput { PromptIds = [] }, "prompt_ids", "must not be empty");
        AssertProblem(
            new GenerationInput { PromptIds = [5, TestModel.Vocabulary.FirstLatentId] }, "prompt_ids[1]",
            $"id {TestModel.Vocabulary.FirstLatentId} cannot stand outside of a reasoning trace");
        AssertProblem(new GenerationInput { PromptIds = [5], Chat = [new ChatTurn("user", "b")] }, "messages", "must not be given together with prompt_ids");
        AssertProblem(
            new GenerationInput { PromptIds = [.. Enumerable.Repeat(5, 400)] }, "prompt_ids",
            "must have at most 254 tokens, so that <think> and one token fit into 256 positions; got 400 tokens");
    }

    private static string Toms(int count) => string.Concat(Enumerable.Repeat(" Tom", count));

    private static GenerationRequest Valid(GenerationInput input)
    {
        var isValid = GenerationRequest.TryCreate(input, TestModel.Package, Options, GenerationFieldNames.Rest, out var request, out var problems);
        Assert.True(isValid, string.Join("; ", problems));
        return request!;
    }

    private static IReadOnlyList<FieldProblem> Problems(GenerationInput input)
    {
        Assert.False(GenerationRequest.TryCreate(input, TestModel.Package, Options, GenerationFieldNames.Rest, out var request, out var problems));
        Assert.Null(request);
        return problems;
    }

    private static void AssertProblem(GenerationInput input, string field, string message) =>
        Assert.Equal(new FieldProblem(field, message), Assert.Single(Problems(input)));
}
