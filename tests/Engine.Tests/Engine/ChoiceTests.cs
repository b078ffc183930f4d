using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>Several responses to one prompt.</summary>
public sealed class ChoiceTests
{
    [Fact]
    public async Task Choices_ShareOnePromptAndEqualSingleResponses()
    {
        await using var harness = await EngineHarness.StartForPromptsAsync();
        var input = new GenerationInput { Prompt = " Tom Tom Tom Tom Tom Tom Tom", Temperature = 2, Seed = 40, MaxTokens = 30 };
        var single = new List<Response>();
        for (var choice = 0; choice < 4; choice++)
        {
            single.Add(await harness.RunAsync(input with { Seed = 40 + choice }));
        }

        var stepsBefore = harness.Runner.Steps.Count;
        var events = await ReadAsync(harness.Submit(harness.Request(input with { N = 4 })));

        Assert.IsType<AcceptedEvent>(events[0]);
        Assert.Single(events.OfType<AcceptedEvent>());
        for (var choice = 0; choice < 4; choice++)
        {
            Assert.Equal(Text(single[choice].Events), Text(events.Where(item => item.Choice == choice)));
            var ended = Assert.Single(events.OfType<ChoiceFinishedEvent>(), item => item.Choice == choice);
            Assert.Equal(single[choice].Finished.Reason, ended.Reason);
            Assert.Equal(single[choice].Usage, ended.Usage);
        }

        Assert.True(single.Select(response => response.Fingerprint).Distinct().Count() > 1);
        var finished = Assert.IsType<FinishedEvent>(events[^1]);
        Assert.Equal(single[0].Usage.PromptTokens, finished.Usage.PromptTokens);
        Assert.Equal(single.Sum(response => response.Usage.CompletionTokens), finished.Usage.CompletionTokens);
        Assert.Equal(1, harness.Runner.Steps.Skip(stepsBefore).Sum(step => step.PromptCount));
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Choices_OfGreedySampling_AreAlike()
    {
        await using var harness = await EngineHarness.StartAsync();

        var events = await ReadAsync(harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", Mode = "latent", N = 3 })));

        var texts = Enumerable.Range(0, 3).Select(choice => Text(events.Where(item => item.Choice == choice))).ToList();
        Assert.Single(texts.Distinct());
        Assert.Equal(3, events.OfType<ChoiceFinishedEvent>().Count());
        Assert.Equal(6, ((FinishedEvent)events[^1]).Savings.LatentTokens);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(2)]
    public async Task Choices_OfALongPromptInChunks_ShareIt(int chunk)
    {
        await using var harness = await EngineHarness.StartForPromptsAsync(new EngineOptions { PrefillChunk = chunk });
        var input = new GenerationInput { Prompt = string.Concat(Enumerable.Repeat(" Tom", 9)), Temperature = 1, Seed = 3, MaxTokens = 20 };
        var single = await harness.RunAsync(input with { Seed = 4 });

        var events = await ReadAsync(harness.Submit(harness.Request(input with { N = 2 })));

        Assert.Equal(Text(single.Events), Text(events.Where(item => item.Choice == 1)));
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Choices_WithoutEnoughSlots_WaitForThem()
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { MaxSlots = 3 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var running = harness.Submit(harness.Request("text"));
        await gate.WhenArrivedAsync();

        var several = harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", N = 3 }));
        var after = harness.Submit(harness.Request("none"));
        gate.Open();

        var events = await ReadAsync(several);
        Assert.Equal(FinishReason.Stop, ((FinishedEvent)events[^1]).Reason);
        Assert.Equal(FinishReason.Stop, (await Response.ReadAsync(running)).Finished.Reason);
        Assert.Equal(FinishReason.Stop, (await Response.ReadAsync(after)).Finished.Reason);
        Assert.All(harness.Runner.Steps, step => Assert.True(step.RowCount <= 3));
        harness.AssertEmpty();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Cancel_OfSeveralChoices_EndsAllOfThem(int steps)
    {
        await using var harness = await EngineHarness.StartAsync(new EngineOptions { PrefillChunk = 1 });
        using var gate = new StepGate();
        harness.Runner.BeforeRun = _ => gate.Pass();
        var generation = harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", N = 3, Mode = "text" }));
        for (var step = 0; step < steps; step++)
        {
            await gate.WhenArrivedAsync();
            gate.Allow();
        }

        await gate.WhenArrivedAsync();
        generation.Cancel();
        gate.Open();

        var events = await ReadAsync(generation);
        Assert.Equal(3, events.OfType<ChoiceFinishedEvent>().Count(item => item.Reason == FinishReason.Cancelled));
        Assert.Equal(FinishReason.Cancelled, ((FinishedEvent)events[^1]).Reason);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Step_WhenItFails_EndsAllChoices()
    {
        await using var harness = await EngineHarness.StartAsync();
        harness.Runner.BeforeRun = _ =>
        {
            harness.Runner.BeforeRun = null;
            throw new InvalidOperationException("planned");
        };

        var events = await ReadAsync(harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", N = 2 })));

        Assert.Equal(2, events.OfType<ChoiceFinishedEvent>().Count(item => item.Reason == FinishReason.Error));
        Assert.NotNull(((FinishedEvent)events[^1]).Error);
        harness.AssertEmpty();
    }

    [Fact]
    public async Task Hints_OfChoices_NameTheirChoice()
    {
        await using var harness = await EngineHarness.StartAsync(codebook: new ScriptedCodebook());

        var events = await ReadAsync(harness.Submit(harness.Request(new GenerationInput { Prompt = " Tom", Mode = "latent", N = 2 })));

        Assert.Equal([0, 0, 1, 1], events.OfType<LatentHintEvent>().Select(hint => hint.Choice).Order());
        foreach (var choice in new[] { 0, 1 })
        {
            var own = events.Where(item => item.Choice == choice).ToList();
            Assert.True(own.FindLastIndex(item => item is LatentHintEvent) < own.FindIndex(item => item is ChoiceFinishedEvent));
        }
    }

    private static async Task<List<GenerationEvent>> ReadAsync(Generation generation)
    {
        var events = new List<GenerationEvent>();
        while (events is not [.., FinishedEvent])
        {
            events.Add(await Response.NextAsync(generation.Events));
        }

        await generation.Events.Completion.WaitAsync(TimeSpan.FromSeconds(60));
        return events;
    }

    private static string Text(IEnumerable<GenerationEvent> events) => string.Join(' ', events.Select(item => item switch
    {
        LatentEvent latent => $"z{latent.Code}",
        ReasoningTextEvent reasoning => $"r{string.Join('+', reasoning.TokenIds)}{reasoning.Text}",
        AnswerTextEvent answer => $"a{string.Join('+', answer.TokenIds)}{answer.Text}",
        _ => "",
    }).Where(text => text.Length > 0));
}
