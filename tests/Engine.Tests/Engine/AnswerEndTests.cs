using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>What ends an answer beside stop strings: ids, the least number of tokens, the time limit.</summary>
public sealed class AnswerEndTests
{
    private static readonly TraceScript Script =
        TraceScript.FromText(TestModel.Package, [(3, " Tom is a lempus."), (1, " Every wumpus is a lempus.")], " True yes no");

    [Fact]
    public async Task StopId_InAnswer_EndsItWithoutItsText()
    {
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, Script));

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "text", StopTokenIds = [TinyTokenizer.IdOf(" no"), TinyTokenizer.IdOf(" wump")] });

        Assert.Equal("Tom is a lempus. Every wumpus is a lempus.", response.Reasoning);
        Assert.Equal("True yes", response.Answer);
        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Equal(3, response.Usage.AnswerTokens);
        Assert.Equal(2, response.AnswerIds.Count);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(9)]
    public async Task MinTokens_PutTheEndOff(int minTokens)
    {
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, Script));

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "none", MinTokens = minTokens });

        // </think>, then text; <eos> is wanted after the fourth token and comes when the least number is there.
        Assert.StartsWith("True yes no", response.Answer, StringComparison.Ordinal);
        Assert.Equal(minTokens + 1, response.Usage.CompletionTokens);
        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
    }

    [Theory]
    [InlineData(0, "")]
    [InlineData(1, "")]
    [InlineData(2, "True yes ")]
    [InlineData(4, "True yes no")]
    public async Task MinTokens_PutStopStringsOff(int minTokens, string answer)
    {
        await using var harness = await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Package, Script));

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "none", MinTokens = minTokens, Stop = ["True", "no"] });

        Assert.Equal(answer, response.Answer);
    }

    [Fact]
    public async Task Timeout_WhileDecoding_EndsWithDeadline()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(time: time);
        harness.Runner.BeforeRun = _ => time.Advance(TimeSpan.FromMilliseconds(10));

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "text", Timeout = TimeSpan.FromMilliseconds(45) });

        // Steps end at 10, 20, 30, 40 and 50 ms; the deadline is looked at between steps.
        Assert.Equal(FinishReason.Deadline, response.Finished.Reason);
        Assert.Equal(5, response.Usage.CompletionTokens);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Timeout_WhileWaiting_EndsWithoutSlot()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1 }, time: time);
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ =>
        {
            gate.Pass();
            time.Advance(TimeSpan.FromMilliseconds(10));
        };
        var running = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();
        var waiting = harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", Timeout = TimeSpan.FromMilliseconds(20) }));
        gate.Open();

        var ended = await Response.ReadAsync(waiting);

        Assert.Equal(FinishReason.Deadline, ended.Finished.Reason);
        Assert.Single(ended.Events);
        Assert.Equal(FinishReason.Stop, (await Response.ReadAsync(running)).Finished.Reason);
        harness.AssertEmpty();
    }
}
