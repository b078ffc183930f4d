using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>What the engine's thread allocates between two model calls while sequences only decode: the events that it gives out, and nothing else.</summary>
public sealed class AllocationTests
{
    private const int Tokens = 200;
    private const string Word = " Tom";

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(32)]
    public async Task Step_WhileSequencesDecode_AllocatesItsEventsAlone(int batch)
    {
        using var gate = new StepGate();
        await using var run = await SteadyRun.StartAsync(batch, gate);
        var generations = Enumerable.Range(0, batch).Select(_ => run.Submit()).ToList();
        gate.Open();

        // Nobody reads meanwhile: then what grows with a response (its ids, its unread events) doubles in the same steps for all of them.
        await Task.WhenAll(generations.Select(generation => generation.WhenFinished));

        var steps = run.Runner.BetweenDecodeSteps;
        Assert.InRange(steps.Count, Tokens / 2, Tokens);
        Assert.Equal(batch * BytesOfOneEvent(), steps.Min());
        Assert.InRange(steps.Count(bytes => bytes == batch * BytesOfOneEvent()), steps.Count * 3 / 4, steps.Count);
    }

    [Fact]
    public async Task Step_WhileItsReaderWaits_AllocatesNoMoreForWakingIt()
    {
        using var gate = new StepGate();
        gate.Open();
        await using var run = await SteadyRun.StartAsync(1, gate);

        var response = await Response.ReadAsync(run.Submit());

        Assert.Equal(Tokens, response.ReasoningIds.Count);
        Assert.Equal(BytesOfOneEvent(), run.Runner.BetweenDecodeSteps.Min());
    }

    private static long BytesOfOneEvent()
    {
        _ = Create();
        var before = GC.GetAllocatedBytesForCurrentThread();
        var created = Create();
        var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        GC.KeepAlive(created);
        return bytes;

        static ReasoningTextEvent Create() => new(new string('x', Word.Length), [1]);
    }

    private sealed record SteadyRun(InferenceEngine Engine, CountingRunner Runner, GenerationRequest Request) : IAsyncDisposable
    {
        public static async Task<SteadyRun> StartAsync(int batch, StepGate gate)
        {
            var word = TestModel.Package.Tokenizer.Encode(Word)[^1];
            var runner = new CountingRunner(TestModel.Vocabulary.Size, batch, word);
            var options = new EngineOptions { MaxSlots = batch, MaxQueuedRequests = 64, PrefixCacheEntries = 0, ChecksEveryStep = false };
            var engine = new InferenceEngine(TestModel.Package, runner, null, options, TimeProvider.System);
            Assert.Equal(EngineState.Ready, await engine.WaitUntilStartedAsync());
            var input = new GenerationInput { Prompt = Word, Mode = "text", MaxTokens = Tokens, Temperature = 0 };
            Assert.True(GenerationRequest.TryCreate(input, TestModel.Package, options, GenerationFieldNames.Rest, out var request, out _));
            runner.Gate = gate;
            return new SteadyRun(engine, runner, request);
        }

        public Generation Submit() => Assert.IsType<SubmitResult.Accepted>(Engine.Submit(Request)).Generation;

        public ValueTask DisposeAsync() => Engine.DisposeAsync();
    }

    /// <summary>Always wants the same token. Allocates nothing, and notes what the engine's thread allocated from one call that only decodes to the next.</summary>
    private sealed class CountingRunner(int vocabularySize, int batch, int wanted) : IModelRunner
    {
        private readonly float[] _logits = CreateLogits(vocabularySize, batch, wanted);
        private readonly List<long> _between = new(2 * Tokens);
        private long _before;
        private bool _wasSteady;

        public IReadOnlyList<long> BetweenDecodeSteps => _between;

        /// <summary>Holds the next call.</summary>
        public StepGate? Gate { get; set; }

        public int VocabularySize => vocabularySize;

        public int SlotCount => batch;

        public int MaxPositions => 256;

        public long KvBytesPerPosition => 1024;

        public ReadOnlySpan<float> Run(StepPlan plan)
        {
            var isSteady = plan.Decode.Count == batch && plan.Prompts.Count == 0 && plan.Prefill is null;
            if (isSteady && _wasSteady)
            {
                _between.Add(GC.GetAllocatedBytesForCurrentThread() - _before);
            }

            Gate?.Pass();
            Gate = null;
            _wasSteady = isSteady;
            _before = GC.GetAllocatedBytesForCurrentThread();
            return _logits.AsSpan(0, (plan.Decode.Count + plan.Prompts.Count + (plan.Prefill is { WantsLogits: true } ? 1 : 0)) * vocabularySize);
        }

        public void MoveSlot(int from, int to, int positionCount)
        {
        }

        public void ReleaseSlot(int slot)
        {
        }

        public void Dispose()
        {
        }

        private static float[] CreateLogits(int width, int rows, int wanted)
        {
            var logits = new float[(rows + 1) * width];
            for (var row = 0; row <= rows; row++)
            {
                logits[(row * width) + wanted] = 1;
            }

            return logits;
        }
    }
}
