using BenchmarkDotNet.Attributes;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Engine.Scheduling;
using Tessera.Engine.Telemetry;
using Tessera.Models;

namespace Tessera.Bench.EngineRuns;

/// <summary>
/// A step of the engine's loop without a model: plan, sample, commit and publish, with every event read. The baseline creates the same events and does nothing else.
/// </summary>
public class StepBenchmark : IDisposable
{
    /// <summary>Steps of one measurement.</summary>
    internal const int StepCount = 256;

    /// <summary>Steps before: past the place where the lists of a response have just doubled.</summary>
    private const int WarmSteps = 1050;

    private const int PromptTokens = 16;
    private ModelPackage _package = null!;
    private StillModel? _model;
    private StepLoop _loop = null!;
    private EngineMeter? _meter;
    private ResponseStream[] _responses = [];
    private string _text = "";

    /// <summary>Sequences that decode.</summary>
    [Params(1, 8, 32)]
    public int Batch { get; set; }

    /// <summary>Where the package is.</summary>
    internal static string PackageFolder { get; set; } = "";

    /// <summary>Loads the package.</summary>
    [GlobalSetup]
    public void Load()
    {
        _package = ModelPackage.Load(PackageFolder);
        _model = new StillModel(_package.Vocabulary.Size, Batch, wanted: 100);
        _text = _package.Tokenizer.TextOf(100);
    }

    /// <summary>Brings new sequences to where they only decode.</summary>
    [IterationSetup]
    public void Begin()
    {
        _meter?.Dispose();
        _meter = new EngineMeter();
        var model = _model!;
        var options = new EngineOptions { MaxSlots = Batch, PrefixCacheEntries = 0 };
        var queue = new RequestQueue(Batch, int.MaxValue);
        var delivery = new EventDelivery();
        var scheduler = new Scheduler(
            queue, new SlotMap(model, Batch), new PrefixCache(model, Batch, 0, 0, isOn: false), new DepartureRate(TimeProvider.System),
            new SchedulerLimits((long)Batch * model.MaxPositions, options.PrefillChunk, options.PrefillShare), _package.Vocabulary.ThinkId);
        var factory = new SequenceFactory(
            _package, model.KvBytesPerPosition, null, new HintWait(options.HintPatience, TimeProvider.System, _ => { }), delivery, _meter, TimeProvider.System);
        _loop = new StepLoop(
            System.Threading.Channels.Channel.CreateBounded<LoopCommand>(1).Reader, scheduler, model, delivery,
            exception => throw new InvalidOperationException("a step failed", exception), checksEveryStep: false, _meter, TimeProvider.System);
        var request = EngineLoad.Request(_package, options, Enumerable.Repeat(100, PromptTokens).ToArray(), WarmSteps + StepCount + 100);
        _responses = new ResponseStream[Batch];
        for (var i = 0; i < Batch; i++)
        {
            queue.TryReserve(request.PromptPositions);
            var sequence = factory.Create(request, _ => { })[0];
            scheduler.Add(sequence);
            _responses[i] = sequence.Response;
        }

        for (var step = 0; step < WarmSteps; step++)
        {
            Step();
        }
    }

    /// <summary>Ends it all.</summary>
    [GlobalCleanup]
    public void Dispose()
    {
        _meter?.Dispose();
        _model?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Creates the events of a step.</summary>
    [Benchmark(Baseline = true)]
    public int EventsAlone()
    {
        var length = 0;
        for (var i = 0; i < Batch; i++)
        {
            length += new ReasoningTextEvent(new string('x', _text.Length), [100]).Text.Length;
        }

        return length;
    }

    /// <summary>Makes a step.</summary>
    [Benchmark]
    public int Step()
    {
        _loop.TryStep();
        var count = 0;
        foreach (var response in _responses)
        {
            while (response.Reader.TryRead(out _))
            {
                count++;
            }
        }

        return count;
    }

    /// <summary>Always wants the same token, and takes no time for it.</summary>
    private sealed class StillModel : IModelRunner
    {
        private readonly float[] _logits;

        public StillModel(int vocabularySize, int slotCount, int wanted)
        {
            (VocabularySize, SlotCount) = (vocabularySize, slotCount);
            _logits = new float[(slotCount + 1) * vocabularySize];
            for (var row = 0; row <= slotCount; row++)
            {
                _logits[(row * vocabularySize) + wanted] = 1;
            }
        }

        public int VocabularySize { get; }

        public int SlotCount { get; }

        public int MaxPositions => 4096;

        public long KvBytesPerPosition => 1024;

        public ReadOnlySpan<float> Run(StepPlan plan) =>
            _logits.AsSpan(0, (plan.Decode.Count + plan.Prompts.Count + (plan.Prefill is { WantsLogits: true } ? 1 : 0)) * VocabularySize);

        public void MoveSlot(int from, int to, int positionCount)
        {
        }

        public void ReleaseSlot(int slot)
        {
        }

        public void Dispose()
        {
        }
    }
}
