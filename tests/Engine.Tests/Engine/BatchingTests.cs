using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class BatchingTests
{
    [Theory]
    [InlineData(0, 256)]
    [InlineData(0.9, 256)]
    [InlineData(0.9, 2)]
    public async Task Responses_Batched_EqualThoseAlone(double temperature, int prefillChunk)
    {
        await using var harness = await EngineHarness.StartForPromptsAsync(new EngineOptions { PrefillChunk = prefillChunk });
        var requests = Enumerable.Range(0, 24).Select(i => harness.Request(InputOf(i, temperature))).ToList();

        var alone = new List<string>();
        foreach (var request in requests)
        {
            alone.Add((await Response.ReadAsync(harness.Submit(request))).Fingerprint);
        }

        var movesAlone = harness.Runner.MoveCount;
        var batched = await Task.WhenAll(requests.Select(request => Response.ReadAsync(harness.Submit(request))));

        Assert.Equal(alone, batched.Select(response => response.Fingerprint));
        Assert.Equal(0, movesAlone);
        Assert.True(harness.Runner.MoveCount > 0, "no slot was moved: the batch does not test moves");
        Assert.Contains(harness.Runner.Steps, step => step.DecodeCount > 2);
        Assert.Empty(harness.Faults);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Sampling_WithSameSeed_RepeatsAndWithAnotherDiffers()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync();
        GenerationInput With(double seed) => new() { Prompt = " Tom Tom Tom", Temperature = 2, Seed = seed };

        var first = await harness.RunAsync(With(5));
        var second = await harness.RunAsync(With(5));
        var other = await harness.RunAsync(With(6));

        Assert.Equal(first.Fingerprint, second.Fingerprint);
        Assert.NotEqual(first.Fingerprint, other.Fingerprint);
    }

    [Fact]
    public async Task Prefill_OfLongPrompt_RunsInChunksBesideDecoding()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync(new EngineOptions { PrefillChunk = 4 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();

        var decoding = harness.Submit(harness.Request("text"));
        await gate.WhenArrivedAsync();
        var prefilling = harness.Submit(harness.Request("none", string.Concat(Enumerable.Repeat(" Tom", 9))));
        gate.Open();
        await Response.ReadAsync(prefilling);
        await Response.ReadAsync(decoding);

        // The warm-up's two steps and the first request's prefill come before; <think> and the forced </think> run with the prompt.
        var chunks = harness.Runner.Steps.Skip(3).Where(step => step.PrefillSlot is not null).ToList();
        Assert.Equal([(1, 0, 4), (1, 4, 4), (1, 8, 3)], chunks.Select(step => (step.DecodeCount, step.PrefillStart, step.PrefillCount)));
    }

    [Fact]
    public async Task Requests_ForOneSlot_RunInOrderOfSubmission()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1 }, time: time);
        harness.Runner.BeforeRun = _ => time.Advance(TimeSpan.FromMilliseconds(1));

        var generations = Enumerable.Range(0, 6).Select(_ => harness.Submit(harness.Request())).ToList();
        var responses = await Task.WhenAll(generations.Select(Response.ReadAsync));

        var ends = responses.Select(response => response.Finished.Timings.Total).ToList();
        Assert.Equal(ends.Order(), ends);
        Assert.Equal(6, ends.Distinct().Count());
        Assert.All(harness.Runner.Steps, step => Assert.True(step.RowCount <= 1));
    }

    [Fact]
    public async Task KvPositions_WhenScarce_AreReservedBeforeWork()
    {
        // Each request takes 2 prompt positions and at most 18 tokens: two fit into 50 positions, three do not.
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxKvPositions = 50 });

        var generations = Enumerable.Range(0, 9).Select(_ => harness.Submit(harness.Request("text", maxTokens: 18))).ToList();
        var responses = await Task.WhenAll(generations.Select(Response.ReadAsync));

        Assert.All(responses, response => Assert.Equal(FinishReason.Stop, response.Finished.Reason));
        Assert.All(harness.Runner.Steps, step => Assert.True(step.RowCount <= 2));
        var status = harness.Engine.GetStatus();
        Assert.Equal(50, status.KvPositionsCapacity);
        Assert.InRange(status.KvBytesPeak, 1024 * 14, 1024 * 28);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Queue_WhenFull_RefusesWithTime()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1, MaxQueuedRequests = 2 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();

        var waiting = new[] { harness.Submit(harness.Request()), harness.Submit(harness.Request()) };
        var refused = harness.Engine.Submit(harness.Request());
        var status = harness.Engine.GetStatus();
        gate.Open();

        Assert.InRange(Assert.IsType<SubmitResult.Full>(refused).RetryAfter, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(60));
        Assert.Equal(2, status.WaitingCount);
        var responses = await Task.WhenAll(waiting.Append(running).Select(Response.ReadAsync));
        Assert.All(responses, response => Assert.Equal(FinishReason.Stop, response.Finished.Reason));
        Assert.IsType<SubmitResult.Accepted>(harness.Engine.Submit(harness.Request()));
    }

    [Fact]
    public async Task SetLimits_WhileRequestsRunAndWait_HoldFromThenOnAndTheRestStays()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 1, MaxQueuedRequests = 1 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = harness.Submit(harness.Request());
        await gate.WhenArrivedAsync();
        var accepted = new List<Generation> { running, harness.Submit(harness.Request()) };
        Assert.IsType<SubmitResult.Full>(harness.Engine.Submit(harness.Request()));

        harness.Engine.SetLimits(new EngineOptions { MaxSlots = 9, MaxQueuedRequests = 40, MaxChoices = 3 });

        // Many more than the queue had places for at the start.
        accepted.AddRange(Enumerable.Range(0, 39).Select(_ => harness.Submit(harness.Request())));
        Assert.IsType<SubmitResult.Full>(harness.Engine.Submit(harness.Request()));
        harness.Engine.SetLimits(new EngineOptions { MaxQueuedRequests = 1 });
        Assert.IsType<SubmitResult.Full>(harness.Engine.Submit(harness.Request()));
        Assert.Throws<ArgumentException>(() => harness.Engine.SetLimits(new EngineOptions { MaxQueuedRequests = 0 }));
        Assert.Equal((1, 1, 8), (harness.Engine.Options.MaxSlots, harness.Engine.Options.MaxQueuedRequests, harness.Engine.Options.MaxChoices));
        foreach (var generation in accepted.Skip(20))
        {
            generation.Cancel();
        }

        gate.Open();
        var reasons = (await Task.WhenAll(accepted.Select(Response.ReadAsync))).Select(response => response.Finished.Reason).ToList();
        Assert.All(reasons.Take(20), reason => Assert.Equal(FinishReason.Stop, reason));
        Assert.All(reasons.Skip(20), reason => Assert.Equal(FinishReason.Cancelled, reason));
        harness.AssertEmpty();
    }

    private static GenerationInput InputOf(int i, double temperature) => new()
    {
        Prompt = string.Concat(Enumerable.Repeat(" Tom", (i % 11) + 1)),
        Mode = (i % 4) switch { 0 => "auto", 1 => "latent", 2 => "text", _ => "none" },
        LatentBudget = i % 4 == 1 ? i % 3 : null,
        Temperature = temperature,
        TopK = i % 5 == 0 ? 20 : null,
        TopP = i % 3 == 0 ? 0.8 : null,
        Seed = i,
        MaxTokens = 24,
    };
}
