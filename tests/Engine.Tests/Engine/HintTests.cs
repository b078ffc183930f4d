using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

public sealed class HintTests
{
    [Fact]
    public async Task Hints_OfFinishedSpan_ComeBeforeTheEndAndCountInSavings()
    {
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook { TokensPerHint = 5 });

        var response = await harness.RunAsync("latent");

        Assert.Equal([new LatentHintEvent(0, 0, 3, "hint 3", 0.5f), new LatentHintEvent(0, 1, 1, "hint 1", 0.5f)], response.Hints);
        Assert.Equal(10, response.Finished.Savings.TextEquivalentTokens);
        Assert.Equal(6, response.Finished.Savings.TokensSaved);
        Assert.Equal(6.0 / 13, response.Finished.Savings.FractionSaved);
    }

    [Fact]
    public async Task Hints_WhileTheCodebookIsBusy_HoldUpOnlyTheLastEvent()
    {
        using var gate = new StepGate();
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook { BeforeDecode = _ => gate.Pass() });

        var waiting = harness.Submit(harness.Request("latent"));
        await gate.WhenArrivedAsync();
        var other = await harness.RunAsync("text");
        var early = new List<GenerationEvent>();
        while (waiting.Events.TryRead(out var item))
        {
            early.Add(item);
        }

        gate.Open();
        var late = await Response.NextAsync(waiting.Events);

        Assert.Equal(FinishReason.Stop, other.Finished.Reason);
        Assert.Equal(2, early.OfType<LatentEvent>().Count());
        Assert.Empty(early.OfType<FinishedEvent>());
        Assert.IsType<LatentHintEvent>(late);
    }

    [Fact]
    public async Task Hints_OfSpansThatWait_AreReadTogether()
    {
        using var gate = new StepGate();
        var codebook = new ScriptedCodebook { BeforeDecode = _ => gate.Pass() };
        await using var harness = await EngineHarness.StartAsync(codebook: codebook);

        var first = harness.Submit(harness.Request("latent"));
        await gate.WhenArrivedAsync();
        var others = Enumerable.Range(0, 5).Select(_ => harness.Submit(harness.Request("latent"))).ToList();
        foreach (var other in others)
        {
            // The answer comes after the span, which waits by then.
            while (await Response.NextAsync(other.Events) is not AnswerTextEvent)
            {
            }
        }

        gate.Open();
        var hints = (await Response.ReadAsync(first)).Hints;
        foreach (var other in others)
        {
            var late = new List<GenerationEvent>();
            while (late is not [.., FinishedEvent])
            {
                late.Add(await Response.NextAsync(other.Events));
            }

            Assert.Equal(hints, late.OfType<LatentHintEvent>());
        }

        Assert.Equal([1, 5], codebook.Runs);
        Assert.Equal(["hint 3", "hint 1"], hints.Select(hint => hint.Hint));
    }

    [Fact]
    public async Task Codebook_WhenOneSpanCannotBeRead_StillReadsTheOthers()
    {
        using var gate = new StepGate();
        var codebook = new ScriptedCodebook
        {
            BeforeDecode = codes =>
            {
                gate.Pass();
                if (codes.Count == 1)
                {
                    throw new InvalidOperationException("bad codes");
                }
            },
        };
        await using var harness = await EngineHarness.StartAsync(codebook: codebook);

        var first = harness.Submit(harness.Request("latent"));
        await gate.WhenArrivedAsync();
        var bad = harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", Mode = "latent", LatentBudget = 1 }));
        var good = harness.Submit(harness.Request("latent"));
        var answered = await harness.RunAsync("text");
        gate.Open();
        var responses = await Task.WhenAll(new[] { first, bad, good }.Select(Response.ReadAsync));

        Assert.Equal(FinishReason.Stop, answered.Finished.Reason);
        Assert.Equal([2, 0, 2], responses.Select(response => response.Hints.Count));
        Assert.Equal("bad codes", Assert.Single(harness.Faults).Message);
    }

    [Fact]
    public async Task Cancel_WhileHintsAreAwaited_EndsAtOnceWithTheReason()
    {
        using var gate = new StepGate();
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook { BeforeDecode = _ => gate.Pass() });
        var generation = harness.Submit(harness.Request("latent"));
        await gate.WhenArrivedAsync();

        // Another request's end shows that the first one's tokens are all there.
        await harness.RunAsync("text");
        generation.Cancel();
        var response = await Response.ReadAsync(generation);
        gate.Open();

        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Equal("True", response.Answer);
        Assert.Empty(response.Hints);
    }

    [Fact]
    public async Task Codebook_WhenItHangs_HoldsTheLastEventUpForAWhileOnly()
    {
        using var gate = new StepGate();
        var options = new EngineOptions { HintPatience = TimeSpan.FromMilliseconds(30) };
        await using var harness = await EngineHarness.StartAsync(options, new ScriptedCodebook { BeforeDecode = _ => gate.Pass() });

        var response = await harness.RunAsync("latent");
        gate.Open();

        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.True(response.Finished.AreHintsDropped);
        Assert.Empty(response.Hints);
        Assert.IsType<TimeoutException>(Assert.Single(harness.Faults));
    }

    [Fact]
    public async Task Dispose_WhenTheCodebookHangs_EndsAndLeavesItAlone()
    {
        using var gate = new StepGate();
        var codebook = new ScriptedCodebook { BeforeDecode = _ => gate.Pass() };
        var harness = await EngineHarness.StartAsync(new EngineOptions { StopPatience = TimeSpan.FromMilliseconds(50) }, codebook);
        var generation = harness.Submit(harness.Request("latent"));
        await gate.WhenArrivedAsync();

        await harness.DisposeAsync();

        Assert.NotNull((await Response.ReadAsync(generation)).Finished);
        Assert.False(codebook.IsDisposed);
        gate.Open();
    }

    [Fact]
    public async Task Codebook_WhenItFails_GivesNoHintsButAResponse()
    {
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook { BeforeDecode = _ => throw new InvalidOperationException("bad codes") });

        var response = await harness.RunAsync("latent");

        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
        Assert.Empty(response.Hints);
        Assert.Equal(9, response.Finished.Savings.TextEquivalentTokens);
        Assert.Equal("bad codes", Assert.Single(harness.Faults).Message);
    }

    [Fact]
    public async Task Hints_ForSomeCodesOnly_LeaveSavingsToTheManifest()
    {
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook { MaxCodes = 1 });

        var response = await harness.RunAsync("latent");

        Assert.Equal(3, Assert.Single(response.Hints).Code);
        Assert.Equal(9, response.Finished.Savings.TextEquivalentTokens);
    }

    [Fact]
    public async Task Hints_WhenNotWanted_AreNotMade()
    {
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook());

        var response = await harness.RunAsync(new GenerationInput { Prompt = " Tom", Mode = "latent", Explain = false });

        Assert.Empty(response.Hints);
    }

    [Fact]
    public async Task Hints_OfSpanThatMaxTokensCutShort_Come()
    {
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook());

        var response = await harness.RunAsync("latent", maxTokens: 3);

        Assert.Equal(FinishReason.Length, response.Finished.Reason);
        Assert.Equal([3, 1], response.Hints.Select(hint => hint.Code));
    }

    [Fact]
    public async Task Dispose_WhileHintsAreAwaited_EndsTheRequest()
    {
        using var gate = new StepGate();
        var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook { BeforeDecode = _ => gate.Pass() });
        var generation = harness.Submit(harness.Request("latent"));
        await gate.WhenArrivedAsync();
        await harness.RunAsync("text");

        var disposal = harness.DisposeAsync();
        var response = await Response.ReadAsync(generation);
        gate.Open();
        await disposal;

        Assert.Equal(FinishReason.Stop, response.Finished.Reason);
    }
}
