using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class FailureTests
{
    [Fact]
    public async Task Step_WhenItFails_FailsItsSequencesAndNoOthers()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 2 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = new[] { harness.Submit(harness.Request("text")), harness.Submit(harness.Request("text")) };
        for (var step = 0; step < 3; step++)
        {
            await gate.WhenArrivedAsync();
            gate.Allow();
        }

        await gate.WhenArrivedAsync();
        var waiting = harness.Submit(harness.Request());
        harness.Runner.BeforeRun = _ =>
        {
            harness.Runner.BeforeRun = null;
            throw new InvalidOperationException("secret of the runtime");
        };
        gate.Open();

        var failed = await Task.WhenAll(running.Select(Response.ReadAsync));
        Assert.All(failed, response => Assert.Equal(FinishReason.Error, response.Finished.Reason));
        Assert.All(failed, response => Assert.DoesNotContain("secret", response.Finished.Error, StringComparison.Ordinal));
        Assert.Equal(FinishReason.Stop, (await Response.ReadAsync(waiting)).Finished.Reason);
        Assert.Equal("secret of the runtime", Assert.Single(harness.Faults).Message);
        Assert.Equal(EngineState.Ready, harness.Engine.GetStatus().State);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Steps_WhenTheyFailAgainAndAgain_FailTheEngine()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ =>
        {
            gate.Pass();
            throw new InvalidOperationException("broken");
        };

        var generations = Enumerable.Range(0, 5).Select(_ => harness.Submit(harness.Request())).ToList();
        gate.Open();
        var responses = await Task.WhenAll(generations.Select(Response.ReadAsync));

        Assert.All(responses, response => Assert.Equal(FinishReason.Error, response.Finished.Reason));
        Assert.All(responses, response => Assert.NotNull(response.Finished.Error));
        Assert.Equal(EngineState.Failed, harness.Engine.GetStatus().State);
        Assert.Equal(2, harness.Faults.Count);
        Assert.IsType<SubmitResult.Draining>(harness.Engine.Submit(harness.Request()));
    }

    [Fact]
    public async Task Step_WithoutMemory_IsAnOutcomeAndTheNextStepRuns()
    {
        await using var harness = await EngineHarness.StartAsync();
        harness.Runner.BeforeRun = _ =>
        {
            harness.Runner.BeforeRun = null;
            throw new InsufficientMemoryException("planned");
        };

        var failed = await harness.RunAsync("text");
        var next = await harness.RunAsync("text");

        Assert.Equal(FinishReason.Error, failed.Finished.Reason);
        Assert.Equal(FinishReason.Stop, next.Finished.Reason);
        Assert.Equal(EngineState.Ready, harness.Engine.GetStatus().State);
        harness.AssertEmpty();
    }

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.NaN, 1)]
    [InlineData(float.NegativeInfinity, 0)]
    [InlineData(float.NegativeInfinity, 1)]
    public async Task Logits_ThatAreNoNumbers_FailTheirSequenceAlone(float value, double temperature)
    {
        var runner = new ScriptedModelRunner(TestModel.Package, TestModel.TwoSteps) { ChangeLogits = Spoil };
        await using var harness = await EngineHarness.StartAsync(runner);

        var healthy = harness.Submit(harness.Request("text"));
        var spoilt = harness.Submit(harness.Request(new GenerationInput { Prompt = " Every", Mode = "text", Temperature = temperature }));

        Assert.Equal(FinishReason.Error, (await Response.ReadAsync(spoilt)).Finished.Reason);
        Assert.Equal("Tom is a lempus. Every wumpus is a lempus.", (await Response.ReadAsync(healthy)).Reasoning);
        harness.AssertEmpty();

        void Spoil(IReadOnlyList<int> ids, float[] logits)
        {
            if (ids[0] == TinyTokenizer.IdOf(" Every") && ids.Count > 4)
            {
                Array.Fill(logits, value);
            }
        }
    }

    [Fact]
    public async Task WarmUp_WhenItFails_MakesTheEngineFailedAndKeepsTheCause()
    {
        var runner = new ScriptedModelRunner(TestModel.Package, TestModel.TwoSteps) { BeforeRun = _ => throw new InvalidOperationException("no memory") };
        await using var engine = new InferenceEngine(TestModel.Package, runner, null, new EngineOptions(), TimeProvider.System);

        Assert.Equal(EngineState.Failed, await engine.WaitUntilStartedAsync());
        Assert.Equal("no memory", engine.Failure?.Message);
        Assert.True(runner.Steps.Count == 0);
    }

    [Fact]
    public void Constructor_WithOptionsOutOfRange_NamesEachOne()
    {
        using var runner = new ScriptedModelRunner(TestModel.Package, TestModel.TwoSteps);
        var options = new EngineOptions { MaxSlots = 0, PrefillChunk = -1, PrefillShare = 0 };

        var exception = Assert.Throws<ArgumentException>(() => new InferenceEngine(TestModel.Package, runner, null, options, TimeProvider.System));

        Assert.Contains("MaxSlots must be from 1 to 1024; got 0", exception.Message, StringComparison.Ordinal);
        Assert.Contains("PrefillChunk must be from 1 to 1000000; got -1", exception.Message, StringComparison.Ordinal);
        Assert.Contains("PrefillShare must be from 0.01 to 1; got 0", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Constructor_WithRunnerOfOtherVocabulary_NamesBothSizes()
    {
        using var runner = new ScriptedModelRunner(7, _ => []);

        var exception = Assert.Throws<ArgumentException>(() => new InferenceEngine(TestModel.Package, runner, null, new EngineOptions(), TimeProvider.System));

        Assert.Contains($"the runner gives 7 logits, the package's vocabulary has {TestModel.Vocabulary.Size} ids", exception.Message, StringComparison.Ordinal);
    }
}
