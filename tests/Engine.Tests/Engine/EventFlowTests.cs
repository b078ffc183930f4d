using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class EventFlowTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    [Fact]
    public async Task Events_OfAReaderThatComesLate_WaitForItInOrder()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync();
        var inTime = await Response.ReadAsync(harness.Submit(harness.Request("auto", " Tom Tom Tom")));

        var late = harness.Submit(harness.Request("auto", " Tom Tom Tom"));
        var others = await Task.WhenAll(Enumerable.Range(1, 6).Select(i => Response.ReadAsync(harness.Submit(harness.Request("auto", string.Concat(Enumerable.Repeat(" Tom", i)))))));
        await late.WhenFinished.WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.All(others, other => Assert.Equal(FinishReason.Stop, other.Finished.Reason));
        harness.AssertEmpty();
        Assert.Equal(inTime.Events.Count, late.Events.Count);
        Assert.Equal(inTime.Fingerprint, (await Response.ReadAsync(late)).Fingerprint);
    }

    [Fact]
    public async Task Cancel_WhileEventsWaitToBeRead_KeepsThemAndEndsOnce()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync();
        using var gate = new StepGate();
        var steps = 0;
        harness.Runner.BeforeRun = _ =>
        {
            if (++steps == 5)
            {
                gate.Pass();
            }
        };
        var generation = harness.Submit(harness.Request("text", " Tom Tom Tom"));
        await gate.WhenArrivedAsync();
        generation.Cancel();
        gate.Open();

        var finished = await generation.WhenFinished.WaitAsync(Patience, TestContext.Current.CancellationToken);
        var response = await Response.ReadAsync(generation);

        // Response.ReadAsync has checked that the last event is the only one of its kind.
        Assert.Equal(FinishReason.Cancelled, response.Finished.Reason);
        Assert.Same(finished, response.Finished);
        Assert.Equal(5, response.Usage.CompletionTokens);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task LastEvent_WhenItIsRead_FindsThePositionsFree()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync();
        for (var i = 0; i < 20; i++)
        {
            var generation = harness.Submit(harness.Request("auto", " Tom Tom"));
            var hasEnded = false;
            await foreach (var item in generation.Events.ReadAllAsync(TestContext.Current.CancellationToken))
            {
                if (item is FinishedEvent)
                {
                    hasEnded = true;
                    harness.AssertEmpty();
                }
            }

            Assert.True(hasEnded);
        }
    }
}
