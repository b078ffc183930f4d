using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class CancellationTests
{
    [Fact]
    public async Task Cancel_WhileWaiting_EndsWithoutSlot()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();

        var waiting = harness.Submit(harness.Request());
        waiting.Cancel();
        waiting.Cancel();
        gate.Open();

        var cancelled = await Response.ReadAsync(waiting);
        Assert.Single(cancelled.Events);
        Assert.Equal(FinishReason.Cancelled, cancelled.Finished.Reason);
        Assert.Equal(new Usage(2, 0, 0, 0, 0, 0), cancelled.Usage);
        Assert.Equal(FinishReason.Stop, (await Response.ReadAsync(running)).Finished.Reason);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Cancel_WhilePrefilling_FreesSlot()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { PrefillChunk = 1 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();

        var generation = harness.Submit(harness.Request("auto", " Tom Tom Tom Tom Tom Tom Tom Tom"));
        await gate.WhenArrivedAsync();
        gate.Allow();
        await gate.WhenArrivedAsync();
        generation.Cancel();
        gate.Open();

        var response = await Response.ReadAsync(generation);
        Assert.Equal(FinishReason.Cancelled, response.Finished.Reason);
        Assert.Equal(new Usage(9, 0, 0, 0, 0, 0), response.Usage);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Cancel_WhileDecoding_EndsWithinAStepAndLeavesTheOthersAlone()
    {
        await using var harness = await EngineHarness.StartAsync();
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();

        var first = harness.Submit(harness.Request("text"));
        var second = harness.Submit(harness.Request("text"));
        for (var step = 0; step < 4; step++)
        {
            await gate.WhenArrivedAsync();
            gate.Allow();
        }

        await gate.WhenArrivedAsync();
        first.Cancel();
        gate.Open();

        var cancelled = await Response.ReadAsync(first);
        Assert.Equal(FinishReason.Cancelled, cancelled.Finished.Reason);
        Assert.Equal(5, cancelled.Usage.ReasoningTextTokens);
        Assert.Equal("Tom is a lempus. Every wumpus is a lempus.", (await Response.ReadAsync(second)).Reasoning);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Cancel_AfterTheEnd_ChangesNothing()
    {
        await using var harness = await EngineHarness.StartAsync();
        var generation = harness.Submit(harness.Request());
        var response = await Response.ReadAsync(generation);

        generation.Cancel();

        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Equal(FinishReason.Stop, (await harness.RunAsync("auto")).Finished.Reason);
    }
}
