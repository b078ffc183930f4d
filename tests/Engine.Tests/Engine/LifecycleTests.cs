using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class LifecycleTests
{
    [Fact]
    public async Task Engine_DuringWarmUp_TakesRequests()
    {
        using var gate = new StepGate();
        var runner = new ScriptedModelRunner(TestModel.Package, TestModel.TwoSteps) { BeforeRun = _ => gate.Pass() };
        await using var engine = new InferenceEngine(TestModel.Package, runner, null, new EngineOptions(), TimeProvider.System);
        await gate.WhenArrivedAsync();
        Assert.Equal(EngineState.Starting, engine.GetStatus().State);
        GenerationRequest.TryCreate(
            new GenerationInput { Prompt = " Tom" }, TestModel.Package, engine.Options, GenerationFieldNames.Rest, out var request, out _);

        var generation = Assert.IsType<SubmitResult.Accepted>(engine.Submit(request!)).Generation;
        gate.Open();

        Assert.Equal("True", (await Response.ReadAsync(generation)).Answer);
        Assert.Equal(EngineState.Ready, engine.GetStatus().State);
    }

    [Fact]
    public async Task Drain_WithTime_LetsRequestsFinish()
    {
        await using var harness = await EngineHarness.StartAsync();
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var generation = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();

        var drain = harness.Engine.DrainAsync(TimeSpan.FromMinutes(2));
        Assert.Equal(EngineState.Draining, harness.Engine.GetStatus().State);
        Assert.IsType<SubmitResult.Draining>(harness.Engine.Submit(harness.Request()));
        gate.Open();
        await drain;

        Assert.Equal(FinishReason.Stop, (await Response.ReadAsync(generation)).Finished.Reason);
        Assert.Equal(EngineState.Stopped, harness.Engine.GetStatus().State);
    }

    [Fact]
    public async Task Drain_WhenTimeIsUp_EndsTheRestWithShutdown()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = harness.Submit(harness.Request());
        var waiting = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();

        var drain = harness.Engine.DrainAsync(TimeSpan.Zero);
        gate.Allow();
        await drain;

        var ended = await Task.WhenAll(Response.ReadAsync(running), Response.ReadAsync(waiting));
        Assert.All(ended, response => Assert.Equal(FinishReason.Shutdown, response.Finished.Reason));
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Dispose_WithRequests_EndsThemAndOwnsRunnerAndCodebook()
    {
        var codebook = new ScriptedCodebook();
        var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1 }, codebook);
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var generations = Enumerable.Range(0, 3).Select(_ => harness.Submit(harness.Request())).ToList();
        await gate.WhenArrivedAsync();

        var disposal = harness.DisposeAsync();
        gate.Allow();
        await disposal;
        await harness.DisposeAsync();

        var ended = await Task.WhenAll(generations.Select(Response.ReadAsync));
        Assert.All(ended, response => Assert.Equal(FinishReason.Shutdown, response.Finished.Reason));
        Assert.True(harness.Runner.IsDisposed);
        Assert.True(codebook.IsDisposed);
        Assert.IsType<SubmitResult.Draining>(harness.Engine.Submit(harness.Request()));
    }

    [Fact]
    public async Task Dispose_WhenAStepHangs_EndsRequestsAnyway()
    {
        var harness = await EngineHarness.StartAsync(new EngineOptions { StopPatience = TimeSpan.FromMilliseconds(50) });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var generation = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();

        await harness.DisposeAsync();

        Assert.Equal(FinishReason.Shutdown, (await Response.ReadAsync(generation)).Finished.Reason);
        Assert.False(harness.Runner.IsDisposed);
        gate.Open();
    }

    [Fact]
    public async Task Heartbeat_WhileAStepHangs_GrowsAndIsZeroWhenIdle()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(time: time);
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var generation = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();

        time.Advance(TimeSpan.FromSeconds(30));
        var hanging = harness.Engine.GetStatus();
        gate.Open();
        await Response.ReadAsync(generation);

        Assert.Equal(TimeSpan.FromSeconds(30), hanging.SinceLastProgress);
        Assert.Equal(1, hanging.RunningCount);
        await harness.Engine.DrainAsync(TimeSpan.FromMinutes(2));
        time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(TimeSpan.Zero, harness.Engine.GetStatus().SinceLastProgress);
    }

    [Fact]
    public async Task Submit_OfRequestThatNeverFits_Throws()
    {
        await using var large = await EngineHarness.StartAsync();
        await using var small = await EngineHarness.StartAsync(new EngineOptions { MaxKvPositions = 10 });

        var request = large.Request(maxTokens: 100);

        Assert.Throws<ArgumentException>(() => small.Engine.Submit(request));
    }
}
