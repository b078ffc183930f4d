using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>Sequences lose their positions to older ones, are run again and go on.</summary>
public sealed class PreemptionTests
{
    [Theory]
    [InlineData(0.0, 256)]
    [InlineData(1.5, 256)]
    [InlineData(1.5, 3)]
    public async Task Positions_WhenTheyRunOut_CostTheYoungestTimeAndNoToken(double temperature, int chunk)
    {
        await using var ample = await StartAsync(new EngineOptions { PrefillChunk = chunk });
        await using var scarce = await StartAsync(new EngineOptions { PrefillChunk = chunk, MaxKvPositions = 150 });
        var inputs = Inputs(12, temperature);

        var expected = new List<string>();
        foreach (var input in inputs)
        {
            expected.Add((await ample.RunAsync(input)).Fingerprint);
        }

        var responses = await RunTogetherAsync(scarce, inputs);

        Assert.Equal(expected, responses.Select(response => response.Fingerprint));
        var status = scarce.Engine.GetStatus();
        Assert.True(status.PreemptionCount > 0, "nothing was preempted: the test shows nothing");
        Assert.Equal(0, ample.Engine.GetStatus().PreemptionCount);
        Assert.InRange(status.KvBytesPeak, 1, 150 * 1024);
        scarce.AssertEmpty();
    }

    [Fact]
    public async Task Sequence_WithOlderOnes_WaitsForThemAtMost()
    {
        // The bound: the oldest sequence is in every step, so all have ended after the steps that each needs as the oldest. What came later delays nobody.
        await using var harness = await StartAsync(new EngineOptions { MaxKvPositions = 150, PrefillChunk = 8 });
        var inputs = Inputs(10, temperature: 1);
        var before = harness.Runner.Steps.Count;

        var responses = await RunTogetherAsync(harness, inputs);

        var steps = harness.Runner.Steps.Count - before;
        var bound = responses.Sum(response => response.Usage.CompletionTokens + ((response.Usage.PromptTokens + response.Usage.CompletionTokens) / 8) + 1);
        Assert.True(harness.Engine.GetStatus().PreemptionCount > 0);
        Assert.InRange(steps, 1, bound);
    }

    [Fact]
    public async Task Preemption_OfTheOldest_NeverHappens()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(NewRunner(), new EngineOptions { MaxKvPositions = 150 }, time: time);
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ =>
        {
            gate.Pass();
            time.Advance(TimeSpan.FromMilliseconds(10));
        };
        var oldest = harness.Submit(harness.Request(Inputs(1, 0)[0] with { MaxTokens = 120 }));
        await gate.WhenArrivedAsync();
        var others = Inputs(6, 1).Select(input => harness.Submit(harness.Request(input))).ToList();
        gate.Open();

        var response = await Response.ReadAsync(oldest);
        await Task.WhenAll(others.Select(Response.ReadAsync));

        // One token per step without a gap: 10 ms each.
        Assert.True(harness.Engine.GetStatus().PreemptionCount > 0);
        Assert.Equal(TimeSpan.FromMilliseconds(10), response.Finished.Timings.InterTokenTime);
        Assert.Equal(120, response.Usage.CompletionTokens);
    }

    [Fact]
    public async Task Cancel_OfPreemptedSequence_EndsIt()
    {
        await using var harness = await StartAsync(new EngineOptions { MaxKvPositions = 150 });
        using var start = new StepGate();
        using var gate = new StepGate();
        var preempted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Runner.BeforeRun = _ =>
        {
            start.Pass();
            if (harness.Engine.GetStatus().PreemptionCount > 0 && preempted.TrySetResult())
            {
                gate.Pass();
            }
        };

        var generations = Inputs(3, 0).Select(input => harness.Submit(harness.Request(input with { MaxTokens = 120 }))).ToList();
        start.Open();
        await preempted.Task.WaitAsync(TimeSpan.FromSeconds(60));
        generations[^1].Cancel();
        gate.Open();

        var responses = await Task.WhenAll(generations.Select(Response.ReadAsync));
        Assert.Equal(FinishReason.Cancelled, responses[^1].Finished.Reason);
        Assert.All(responses.SkipLast(1), response => Assert.Equal(FinishReason.Length, response.Finished.Reason));
        harness.AssertEmpty();
    }

    // Says text without end, different for each prompt: only the made-up logits count.
    private static ScriptedModelRunner NewRunner() => new(TestModel.Vocabulary.Size, _ => []);

    private static Task<EngineHarness> StartAsync(EngineOptions options) => EngineHarness.StartAsync(NewRunner(), options);

    private static List<GenerationInput> Inputs(int count, double temperature) => [.. Enumerable.Range(0, count).Select(i => new GenerationInput
    {
        Prompt = string.Concat(Enumerable.Repeat(" Tom", (i % 7) + 1)),
        Mode = "text",
        LogitBias = new Dictionary<int, double> { [TestModel.Vocabulary.EndThinkId] = -100 },
        Temperature = temperature,
        Seed = i,
        MaxTokens = 60 + (7 * (i % 5)),
    })];

    // All are submitted before the first step runs, so that they meet.
    private static async Task<IReadOnlyList<Response>> RunTogetherAsync(EngineHarness harness, List<GenerationInput> inputs)
    {
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var generations = inputs.Select(input => harness.Submit(harness.Request(input))).ToList();
        gate.Open();
        return await Task.WhenAll(generations.Select(Response.ReadAsync));
    }
}
