using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class ReasoningModeTests
{
    private static readonly int[] FirstStep = TestModel.Package.Tokenizer.Encode(" Tom is a lempus.");
    private static readonly int[] SecondStep = TestModel.Package.Tokenizer.Encode(" Every wumpus is a lempus.");
    private static readonly int[] True = TestModel.Package.Tokenizer.Encode(" True");

    [Theory]
    [InlineData("auto")]
    [InlineData("latent")]
    public async Task Response_WhenModelChoosesLatents_IsLatentsThenAnswer(string mode)
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync(mode);

        Assert.Equal([3, 1], response.Codes);
        Assert.Equal("", response.Reasoning);
        Assert.Equal("True", response.Answer);
        Assert.Equal(True, response.AnswerIds);
        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Equal(new Usage(2, 0, LatentTokens: 2, ControlTokens: 3, ReasoningTextTokens: 0, AnswerTokens: 2), response.Usage);
    }

    [Fact]
    public async Task Response_InLatentModeWhenModelPrefersText_OpensSpan()
    {
        var textOnly = new ScriptedModelRunner(TestModel.Vocabulary.Size, ids => [.. TestModel.TwoSteps.Next(ids).Where(id => id != TestModel.Vocabulary.BoLatentId)]);
        await using var harness = await EngineHarness.StartAsync(textOnly);

        var auto = await harness.RunAsync("auto");
        var latent = await harness.RunAsync("latent");

        Assert.Equal(0, auto.Usage.LatentTokens);
        Assert.Equal([3, 1], latent.Codes);
    }

    [Fact]
    public async Task Response_InTextMode_SpellsEverythingOut()
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync("text");

        Assert.Empty(response.Codes);
        Assert.Equal([.. FirstStep, .. SecondStep], response.ReasoningIds);
        Assert.Equal("Tom is a lempus. Every wumpus is a lempus.", response.Reasoning);
        Assert.Equal("True", response.Answer);
        Assert.Equal(new Usage(2, 0, 0, ControlTokens: 1, ReasoningTextTokens: 10, AnswerTokens: 2), response.Usage);
    }

    [Fact]
    public async Task Response_InTextModeWhenModelWantsToAnswerAtOnce_WritesSomeReasoningFirst()
    {
        var vocabulary = TestModel.Vocabulary;
        var impatient = new ScriptedModelRunner(
            vocabulary.Size, ids => ids.Contains(vocabulary.EndThinkId) ? [vocabulary.EosId] : [vocabulary.EndThinkId, FirstStep[0]]);
        await using var harness = await EngineHarness.StartAsync(impatient);

        var auto = await harness.RunAsync("auto");
        var text = await harness.RunAsync("text");

        Assert.Equal(0, auto.Usage.ReasoningTextTokens);
        Assert.Equal([FirstStep[0]], text.ReasoningIds);
    }

    [Fact]
    public async Task Response_InNoneMode_IsTheAnswerAlone()
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync("none");

        Assert.Equal("True", response.Answer);
        Assert.Equal(new Usage(2, 0, 0, ControlTokens: 1, ReasoningTextTokens: 0, AnswerTokens: 2), response.Usage);
    }

    [Theory]
    [InlineData("latent", 0, 0, 10)]
    [InlineData("auto", 0, 0, 10)]
    [InlineData("latent", 1, 1, 6)]
    [InlineData("latent", 2, 2, 0)]
    [InlineData("latent", 3, 2, 0)]
    public async Task Dial_AtLatentBudget_TradesLatentsForText(string mode, int budget, int latents, int textTokens)
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync(mode, latentBudget: budget);

        Assert.Equal(latents, response.Usage.LatentTokens);
        Assert.Equal(textTokens, response.Usage.ReasoningTextTokens);
        Assert.Equal("True", response.Answer);
    }

    [Theory]
    [InlineData("text", 3, 0, 3, 1)]
    [InlineData("latent", 3, 1, 0, 3)]
    [InlineData("latent", 4, 2, 0, 3)]
    [InlineData("auto", 2, 0, 2, 1)]
    [InlineData("auto", 0, 0, 0, 1)]
    public async Task ThinkingBudget_WhenUsedUp_ForcesTheAnswer(string mode, int budget, int latents, int textTokens, int control)
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync(mode, thinkingBudget: budget);

        Assert.Equal(new Usage(2, 0, latents, control, textTokens, 2), response.Usage);
        Assert.Equal("True", response.Answer);
        Assert.True(response.Usage.ReasoningTokens <= budget + 1);
    }

    [Theory]
    [InlineData(1, 0, 1)]
    [InlineData(2, 1, 1)]
    [InlineData(3, 2, 1)]
    [InlineData(4, 2, 2)]
    [InlineData(5, 2, 3)]
    public async Task MaxTokens_InsideReasoning_EndsWithLength(int maxTokens, int latents, int control)
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync("latent", maxTokens: maxTokens);

        Assert.Equal(FinishReason.Length, response.Finished.Reason);
        Assert.Equal(new Usage(2, 0, latents, control, 0, 0), response.Usage);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Savings_WithoutHints_UseTheManifest()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(time: time);
        harness.Runner.BeforeRun = _ => time.Advance(TimeSpan.FromMilliseconds(10));

        var response = await harness.RunAsync("latent");

        // 2 latents of 4.5 text tokens; 2 latents and 2 delimiters are left out of the baseline; 7 tokens were generated in 6 steps, the first two in one.
        var interTokenTime = TimeSpan.FromMilliseconds(50) / 6;
        var expected = new Savings(2, 9, 5, 5.0 / 12, 5, 5 * 1024, 5 * interTokenTime.TotalSeconds, SavingsBasis.Estimated);
        Assert.Equal(expected with { SecondsSaved = 0 }, response.Finished.Savings with { SecondsSaved = 0 });
        Assert.Equal(expected.SecondsSaved, response.Finished.Savings.SecondsSaved, 9);
        Assert.Equal(interTokenTime, response.Finished.Timings.InterTokenTime);
        Assert.Equal(TimeSpan.FromMilliseconds(60), response.Finished.Timings.Total);
        Assert.Equal(TimeSpan.FromMilliseconds(10), response.Finished.Timings.TimeToFirstToken);
    }

    [Fact]
    public async Task Savings_WithoutLatents_AreZero()
    {
        await using var harness = await EngineHarness.StartAsync();

        var response = await harness.RunAsync("text");

        Assert.Equal(new Savings(0, 0, 0, 0, 0, 0, 0, SavingsBasis.Estimated), response.Finished.Savings);
    }
}
