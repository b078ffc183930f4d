using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>Tokens that the grammar forces run with the prompt, or with a step that is made anyway.</summary>
public sealed class ForcedTokenTests
{
    // Steps of a request with log probabilities: every token comes from a step of its own.
    [Theory]
    [InlineData("latent", null, null, 1)]
    [InlineData("latent", 1, null, 1)]
    [InlineData("none", null, null, 1)]
    [InlineData("auto", null, 0, 1)]
    [InlineData("text", null, 3, 0)]
    [InlineData("text", null, null, 0)]
    public async Task ForcedTokens_AfterThePrompt_RunWithIt(string mode, int? latentBudget, int? thinkingBudget, int forced)
    {
        await using var harness = await EngineHarness.StartAsync();
        var input = new GenerationInput { Prompt = " Tom", Mode = mode, LatentBudget = latentBudget, ThinkingBudget = thinkingBudget };

        var (slow, slowSteps) = await RunAsync(harness, input with { Logprobs = 0 });
        var (fast, fastSteps) = await RunAsync(harness, input);

        Assert.Equal(slow.Fingerprint, fast.Fingerprint);
        Assert.Equal(slow.Usage.CompletionTokens, slowSteps);
        Assert.Equal(slowSteps - forced, fastSteps);
        harness.AssertEmpty();
    }

    [Theory]
    [InlineData("latent", 1)]
    [InlineData("latent", 2)]
    [InlineData("none", 1)]
    public async Task MaxTokens_WithinForcedTokens_EndThere(string mode, int maxTokens)
    {
        await using var harness = await EngineHarness.StartAsync();

        var slow = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = mode, LatentBudget = mode == "latent" ? 1 : null, MaxTokens = maxTokens, Logprobs = 0 });
        var fast = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = mode, LatentBudget = mode == "latent" ? 1 : null, MaxTokens = maxTokens });

        Assert.Equal(FinishReason.Length, fast.Finished.Reason);
        Assert.Equal(slow.Fingerprint, fast.Fingerprint);
        Assert.Equal(maxTokens, fast.Usage.CompletionTokens);
    }

    [Fact]
    public async Task ForcedTokens_BesideOthers_LeaveAllTokensAsTheyAre()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync();
        var inputs = Enumerable.Range(1, 8).Select(i => new GenerationInput
        {
            Prompt = string.Concat(Enumerable.Repeat(" Tom", i)),
            Mode = i % 2 == 0 ? "latent" : "text",
            LatentBudget = i % 2 == 0 ? 1 : null,
            ThinkingBudget = 5,
            Temperature = 1,
            Seed = i,
            MaxTokens = 25,
        }).ToList();
        var slow = new List<string>();
        foreach (var input in inputs)
        {
            slow.Add((await harness.RunAsync(input with { Logprobs = 0 })).Fingerprint);
        }

        var batched = await Task.WhenAll(inputs.Select(harness.RunAsync));

        Assert.Equal(slow, batched.Select(response => response.Fingerprint));
        harness.AssertEmpty();
    }

    // <boLatent> runs with the prompt; <eoLatent> at the latent budget and </think> at the thinking budget are rows of steps that the other one makes anyway.
    [Fact]
    public async Task ForcedTokens_BesideAnotherSequence_CostNoModelCall()
    {
        await using var harness = await EngineHarness.StartAsync();
        var text = new GenerationInput { Prompt = " Tom", Mode = "text" };
        var (alone, steps) = await RunAsync(harness, text);
        var before = harness.Runner.Steps.Count;
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();

        var other = harness.Submit(harness.Request(text));
        await gate.WhenArrivedAsync();
        var forced = harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", Mode = "latent", LatentBudget = 1, ThinkingBudget = 3 }));
        gate.Open();
        var responses = await Task.WhenAll(Response.ReadAsync(other), Response.ReadAsync(forced));

        Assert.Equal(3, responses[1].Usage.ControlTokens);
        Assert.Equal(alone.Fingerprint, responses[0].Fingerprint);
        Assert.Equal(steps, harness.Runner.Steps.Count - before);
    }

    [Fact]
    public async Task TimeToFirstToken_OfForcedToken_IncludesThePrompt()
    {
        var time = new ManualTime();
        await using var harness = await EngineHarness.StartAsync(time: time);
        harness.Runner.BeforeRun = _ => time.Advance(TimeSpan.FromMilliseconds(10));

        var response = await harness.RunAsync("latent");

        Assert.Equal(TimeSpan.FromMilliseconds(10), response.Finished.Timings.TimeToFirstToken);
    }

    private static async Task<(Response Response, int Steps)> RunAsync(EngineHarness harness, GenerationInput input)
    {
        var before = harness.Runner.Steps.Count;
        var response = await harness.RunAsync(input);
        return (response, harness.Runner.Steps.Count - before);
    }
}
