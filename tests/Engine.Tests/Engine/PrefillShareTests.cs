using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Engine.Scheduling;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>Who waits for whom when prompts meet sequences that decode. The clock moves by what each step is said to take.</summary>
public sealed class PrefillShareTests
{
    [Theory]
    [InlineData(0.5, 10)]
    [InlineData(1.0, 0)]
    public async Task LongPrompt_WhileAnotherDecodes_LeavesItItsShare(double share, int decodeSteps)
    {
        await using var run = await PacedRun.StartAsync(new EngineOptions { PrefillChunk = 8, PrefillShare = share });
        run.Time(prompts: 10, decode: 1);

        var decoding = run.Submit(prompt: 1, tokens: 100);
        await run.WhenFirstStepIsReachedAsync();
        var prefilling = run.Submit(prompt: 31, tokens: 1);
        run.Go();
        await Task.WhenAll(Response.ReadAsync(decoding), Response.ReadAsync(prefilling));

        // After the first one's prompt, 31 ids and <think>: four chunks.
        Assert.Equal(Enumerable.Range(0, 4).Select(chunk => 1 + (chunk * (decodeSteps + 1))), run.PromptSteps().Skip(1));
    }

    [Fact]
    public async Task LongPrompt_WhileNothingDecodes_RunsAtFullSpeed()
    {
        await using var run = await PacedRun.StartAsync(new EngineOptions { PrefillChunk = 8 });
        run.Time(prompts: 1000, decode: 1);

        var prefilling = run.Submit(prompt: 31, tokens: 1);
        run.Go();
        await Response.ReadAsync(prefilling);

        Assert.Equal([0, 1, 2, 3], run.PromptSteps());
    }

    [Fact]
    public async Task LongPrompt_HoweverLongAChunkTakes_WaitsForABoundedNumberOfSteps()
    {
        await using var run = await PacedRun.StartAsync(new EngineOptions { PrefillChunk = 8 });
        run.Time(prompts: 3_600_000, decode: 1);

        var decoding = run.Submit(prompt: 1, tokens: 250);
        await run.WhenFirstStepIsReachedAsync();
        var prefilling = run.Submit(prompt: 15, tokens: 1);
        run.Go();
        await Task.WhenAll(Response.ReadAsync(decoding), Response.ReadAsync(prefilling));

        Assert.Equal([0, 1, 1 + StepPolicy.MaxStepsWithoutChunk + 1], run.PromptSteps());
    }

    [Fact]
    public async Task LongPrompts_WhenManyWait_GetTheirPartByNumber()
    {
        // Prompts of 12 positions: two chunks each.
        await using var run = await PacedRun.StartAsync(new EngineOptions { PrefillShare = 0.5, PrefillChunk = 8 });
        run.Time(prompts: 9, decode: 1);

        var decoding = run.Submit(prompt: 1, tokens: 100);
        await run.WhenFirstStepIsReachedAsync();
        var waiting = Enumerable.Range(0, 3).Select(_ => run.Submit(prompt: 11, tokens: 100)).ToList();
        run.Go();
        await Task.WhenAll(waiting.Append(decoding).Select(Response.ReadAsync));

        // 3 wait and 1 decodes: 3 parts of 4, so that 9 ms leave 3 to the one that decodes. 2 and 2: half. 1 and 3: half, because that is the share.
        Assert.Equal([0, 1, 1 + 4, 5 + 10, 15 + 10, 25 + 10, 35 + 10], run.PromptSteps());
    }

    [Fact]
    public async Task LongPrompts_WithoutAFreeSlot_DoNotCount()
    {
        // One of 2 slots is free, and the first long prompt has it: the two behind it could not run. So the share is a half, not 3 parts of 4.
        await using var run = await PacedRun.StartAsync(new EngineOptions { PrefillShare = 0.5, MaxSlots = 2, PrefillChunk = 8 });
        run.Time(prompts: 9, decode: 1);

        var decoding = run.Submit(prompt: 1, tokens: 100);
        await run.WhenFirstStepIsReachedAsync();
        var waiting = Enumerable.Range(0, 3).Select(_ => run.Submit(prompt: 11, tokens: 20)).ToList();
        run.Go();
        await Task.WhenAll(waiting.Append(decoding).Select(Response.ReadAsync));

        // A response of 20 tokens takes the step of its prompt and 19 more; by then the next prompt's turn has come.
        Assert.Equal([0, 1, 11, 31, 41, 61, 71], run.PromptSteps());
    }

    [Fact]
    public async Task ShortPrompts_BesideALongOne_DoNotWaitForIt()
    {
        await using var run = await PacedRun.StartAsync(new EngineOptions { PrefillShare = 0.5, PrefillChunk = 8 });
        run.Time(prompts: 10, decode: 1);

        var decoding = run.Submit(prompt: 1, tokens: 100);
        await run.WhenFirstStepIsReachedAsync();
        var prefilling = run.Submit(prompt: 31, tokens: 1);
        var brief = Enumerable.Range(0, 2).Select(_ => run.Submit(prompt: 7, tokens: 1)).ToList();
        run.Go();
        await Task.WhenAll([Response.ReadAsync(decoding), Response.ReadAsync(prefilling), .. brief.Select(Response.ReadAsync)]);

        // A chunk fills a step, and so does each of the short prompts: they take turns. When only one sequence decodes, it gets its half of the time.
        Assert.Equal([0, 1, 2, 3, 4, 5, 5 + 11], run.PromptSteps());
    }

    /// <summary>An engine whose clock is moved by each step.</summary>
    private sealed class PacedRun(EngineHarness harness, ManualTime time) : IAsyncDisposable
    {
        private const int WarmUpSteps = 2;
        private readonly StepGate _gate = new();

        public static async Task<PacedRun> StartAsync(EngineOptions options)
        {
            // Says text without end: only the made-up logits count.
            var time = new ManualTime();
            return new PacedRun(await EngineHarness.StartAsync(new ScriptedModelRunner(TestModel.Vocabulary.Size, _ => []), options, time: time, sharesTime: true), time);
        }

        public void Time(int prompts, int decode) => harness.Runner.BeforeRun = plan =>
        {
            _gate.Pass();
            time.Advance(TimeSpan.FromMilliseconds(plan is { Prompts: [], Prefill: null } ? decode : prompts));
        };

        public Generation Submit(int prompt, int tokens) => harness.Submit(harness.Request(new GenerationInput
        {
            Prompt = string.Concat(Enumerable.Repeat(" Tom", prompt)),
            Mode = "text",
            LogitBias = new Dictionary<int, double> { [TestModel.Vocabulary.EndThinkId] = -100 },
            MaxTokens = tokens,
        }));

        public Task WhenFirstStepIsReachedAsync() => _gate.WhenArrivedAsync();

        public void Go() => _gate.Open();

        /// <summary>Which steps had prompts, counted from the first one after the warm-up.</summary>
        public IEnumerable<int> PromptSteps() =>
            harness.Runner.Steps.Skip(WarmUpSteps).Index().Where(step => step.Item.PromptCount > 0 || step.Item.PrefillSlot is not null).Select(step => step.Index);

        public async ValueTask DisposeAsync()
        {
            _gate.Open();
            await harness.DisposeAsync();
            _gate.Dispose();
        }
    }
}
