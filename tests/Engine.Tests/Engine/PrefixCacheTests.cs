using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class PrefixCacheTests
{
    private const string Twenty = " Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom Tom";

    [Fact]
    public async Task Prompt_ThatWasRunBefore_IsCopied()
    {
        await using var harness = await StartAsync();

        var first = await harness.RunAsync(Input(Twenty));
        var second = await harness.RunAsync(Input(Twenty));
        var longer = await harness.RunAsync(Input(Twenty + " Every"));

        // 20 ids and <think>; the last two positions are run. <think> stands elsewhere in the longer prompt.
        Assert.Equal((21, 0), (first.Usage.PromptTokens, first.Usage.CachedTokens));
        Assert.Equal(19, second.Usage.CachedTokens);
        Assert.Equal(20, longer.Usage.CachedTokens);
        Assert.Equal(first.Fingerprint.Replace("CachedTokens = 0", "CachedTokens = 19", StringComparison.Ordinal), second.Fingerprint);
        var status = harness.Engine.GetStatus();
        Assert.Equal((21 + 21 + 22, 39), (status.PrefixCacheQueriedTokens, status.PrefixCacheHitTokens));
        Assert.Equal((21 + 22) * 1024, status.KvBytesResident);
        Assert.Equal(0, status.KvBytesInUse);
    }

    [Fact]
    public async Task Prompt_OfRunningSequence_IsCopied()
    {
        await using var harness = await StartAsync();
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = harness.Submit(harness.Request(Input(Twenty)));
        await gate.WhenArrivedAsync();
        gate.Allow();
        await gate.WhenArrivedAsync();
        var second = harness.Submit(harness.Request(Input(Twenty)));
        gate.Open();

        var responses = await Task.WhenAll(Response.ReadAsync(running), Response.ReadAsync(second));

        Assert.Equal(19, responses[1].Usage.CachedTokens);
        Assert.Equal(responses[0].Answer, responses[1].Answer);
        Assert.Equal(responses[0].ReasoningIds, responses[1].ReasoningIds);
    }

    [Theory]
    [InlineData("a", "a", 19)]
    [InlineData("a", "b", 0)]
    [InlineData("a", null, 0)]
    [InlineData(null, "a", 0)]
    public async Task Prompt_OfAnotherSalt_IsNotShared(string? salt, string? other, int cached)
    {
        await using var harness = await StartAsync();

        await harness.RunAsync(Input(Twenty) with { CacheSalt = salt });
        var second = await harness.RunAsync(Input(Twenty) with { CacheSalt = other });

        Assert.Equal(cached, second.Usage.CachedTokens);
    }

    [Fact]
    public async Task Prompt_BelowTheLeastLength_IsRun()
    {
        await using var harness = await StartAsync();

        await harness.RunAsync(Input(" Tom Tom Tom Tom"));
        var second = await harness.RunAsync(Input(" Tom Tom Tom Tom Every Every"));

        Assert.Equal(0, second.Usage.CachedTokens);
        Assert.Equal(0, harness.Engine.GetStatus().KvBytesResident);
    }

    [Fact]
    public async Task Prompts_AboveTheBound_GoLeastRecentlyUsedFirst()
    {
        // 2 entries at most.
        await using var harness = await StartAsync(new EngineOptions { PrefixCacheEntries = 2 });
        string[] prompts = [" Every" + Twenty, " no" + Twenty, " yes" + Twenty];
        await harness.RunAsync(Input(prompts[0]));
        await harness.RunAsync(Input(prompts[1]));
        Assert.Equal(20, (await harness.RunAsync(Input(prompts[0]))).Usage.CachedTokens);

        await harness.RunAsync(Input(prompts[2]));

        Assert.Equal(2 * 22 * 1024, harness.Engine.GetStatus().KvBytesResident);
        Assert.Equal(20, (await harness.RunAsync(Input(prompts[0]))).Usage.CachedTokens);
        Assert.Equal(0, (await harness.RunAsync(Input(prompts[1]))).Usage.CachedTokens);
    }

    [Fact]
    public async Task Prompts_WhenPositionsAreNeeded_AreGivenUp()
    {
        await using var harness = await StartAsync(new EngineOptions { MaxKvPositions = 60 });
        await harness.RunAsync(Input(Twenty));
        Assert.Equal(21 * 1024, harness.Engine.GetStatus().KvBytesResident);

        // 2 prompt positions and 58 tokens: all positions there are.
        var large = await harness.RunAsync(new GenerationInput { Prompt = " no", Mode = "text", MaxTokens = 58, LogitBias = NoEnd });

        Assert.Equal(58, large.Usage.CompletionTokens);
        Assert.Equal(0, harness.Engine.GetStatus().PreemptionCount);
        Assert.Equal(0, harness.Engine.GetStatus().KvBytesResident);
        Assert.Equal(0, harness.Runner.StoredPositionCount);
    }

    [Fact]
    public async Task Cache_WhenOff_SharesNothing()
    {
        await using var harness = await StartAsync(new EngineOptions { PrefixCacheEntries = 0 });

        await harness.RunAsync(Input(Twenty));
        var second = await harness.RunAsync(Input(Twenty));

        Assert.Equal(0, second.Usage.CachedTokens);
        Assert.Equal(0, harness.Engine.GetStatus().PrefixCacheQueriedTokens);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Step_WhenItFails_KeepsNothingOfWhatItMayHaveSpoilt()
    {
        await using var harness = await StartAsync();
        await harness.RunAsync(Input(Twenty));
        harness.Runner.BeforeRun = _ =>
        {
            harness.Runner.BeforeRun = null;
            throw new InvalidOperationException("planned");
        };

        await harness.RunAsync(Input(Twenty));
        var third = await harness.RunAsync(Input(Twenty));

        Assert.Equal(0, third.Usage.CachedTokens);
        Assert.Equal(FinishReason.Stop, third.Finished.Reason);
    }

    [Fact]
    public async Task LongPrompt_WhenItBegins_HasMemoryTakenForItselfAndForTheSlotThatWillKeepIt()
    {
        // The model has eight slots; kept prompts are above: the first in slot 8, the next in slot 9, the third in the place of the first.
        var options = new EngineOptions { MaxSlots = 1, PrefixCacheEntries = 2, PrefillChunk = 16 };
        await using var harness = await StartAsync(options);

        await harness.RunAsync(Input(Twenty));
        await harness.RunAsync(Input(Twenty.Replace(" Tom", " Every", StringComparison.Ordinal)));
        await harness.RunAsync(Input(Twenty.Replace(" Tom Tom", " Every Tom", StringComparison.Ordinal)));

        Assert.Equal([(0, 21), (8, 21), (0, 21), (9, 21), (0, 21), (8, 21)], harness.Runner.Expected);
    }

    private static IReadOnlyDictionary<int, double> NoEnd { get; } = new Dictionary<int, double> { [TestModel.Vocabulary.EndThinkId] = -100 };

    private static Task<EngineHarness> StartAsync(EngineOptions? options = null) => EngineHarness.StartForPromptsAsync(options, sharesPrefixes: true);

    private static GenerationInput Input(string prompt) => new() { Prompt = prompt, Mode = "text", MaxTokens = 30 };
}
