using Tessera.Engine.Requests;
using Tessera.Models;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class StopStringTests
{
    private static readonly TraceScript Script =
        TraceScript.FromText(TestModel.Package, [(3, " Tom is a lempus."), (1, " Every wumpus is a lempus.")], " True yes no");

    [Theory]
    [InlineData("e y", "Tru", 2)]
    [InlineData("yes", "True ", 2)]
    [InlineData("True", "", 1)]
    [InlineData("no", "True yes ", 3)]
    public async Task Stop_InAnswer_EndsBeforeIt(string stop, string answer, int answerTokens)
    {
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, Script));

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Stop = [stop] });

        Assert.Equal(answer, response.Answer);
        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Equal(answerTokens, response.Usage.AnswerTokens);
    }

    [Theory]
    [InlineData("text", "lempus")]
    [InlineData("latent", "latent")]
    [InlineData("latent", "<latent_3>")]
    [InlineData("text", "</think>")]
    public async Task Stop_InReasoning_IsNotMatched(string mode, string stop)
    {
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, Script));

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = mode, Stop = [stop] });

        Assert.Equal("True yes no", response.Answer);
        Assert.Equal(4, response.Usage.AnswerTokens);
    }

    [Fact]
    public async Task Stop_BegunAtTheEnd_IsGivenOut()
    {
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, Script));

        var stopped = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "none", Stop = ["no!"] });
        var limited = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "none", Stop = ["yes yes"], MaxTokens = 3 });

        Assert.Equal("True yes no", stopped.Answer);
        Assert.Equal("True yes", limited.Answer);
        Assert.Equal(FinishReason.Length, limited.Finished.Reason);
    }

    [Fact]
    public async Task Answer_OfUnfinishedCharacters_ComesInWholeOnes()
    {
        var script = TraceScript.FromText(TestModel.Package, [], " é€");
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, script));

        var whole = await harness.RunAsync("none");
        var cut = await harness.RunAsync("none", maxTokens: 5);

        Assert.Equal("é€", whole.Answer);
        Assert.All(whole.Events.OfType<AnswerTextEvent>(), delta => Assert.DoesNotContain('\uFFFD', delta.Text));
        Assert.Equal("é\uFFFD", cut.Answer);
    }
}
