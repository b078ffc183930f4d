using System.Diagnostics;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Engine.Execution.Devices;
using Tessera.Models;

namespace Tessera.Bench.Timing;

/// <summary>A package's decoder graph under the engine's own runner, without scheduler and sampler.</summary>
internal sealed class OnnxModel : ITimedModel
{
    private readonly IModelRunner _runner;
    private readonly int[][] _ids;
    private readonly int _idLimit;
    private int _sequences;
    private int _position;

    /// <summary>Loads a package's decoder as the engine does.</summary>
    public OnnxModel(string package, int threads, int maxSequences)
        : this(ModelPackage.Load(package), maxSequences, loaded => LoadRunner(loaded, threads, maxSequences))
    {
    }

    private OnnxModel(ModelPackage loaded, int maxSequences, Func<ModelPackage, IModelRunner> load)
    {
        _runner = load(loaded);
        _idLimit = loaded.Vocabulary.ThinkId;
        _ids = [.. Enumerable.Range(0, maxSequences).Select(_ => new int[_runner.MaxPositions])];
    }

    /// <summary>Loads a package's decoder for the processor with the runtime's own attention.</summary>
    public static OnnxModel WithRuntimesAttention(string package, int threads, int maxSequences) => new(ModelPackage.Load(package), maxSequences, loaded =>
    {
        var options = new EngineOptions { MaxSlots = maxSequences, Threads = threads };
        var device = new HostDevice(threads, options.SpinMicroseconds, ownKernels: false);
        return new OnnxModelRunner(loaded.DecoderPath, loaded.Manifest.Architecture, loaded.Vocabulary.PadId, options, loaded.Manifest.Precision.Kv, device);
    });

    /// <summary>By how many positions each sequence is shorter than the one before: 0 = all of one length.</summary>
    public int Stagger { get; set; }

    /// <summary>Positions per sequence.</summary>
    public int MaxPositions => _runner.MaxPositions;

    /// <inheritdoc/>
    public void Begin(int batch, int context)
    {
        Forget();
        for (var slot = 0; slot < batch; slot++)
        {
            RunPrompt(slot, context - (Stagger * slot));
        }

        (_sequences, _position) = (batch, context);
    }

    /// <inheritdoc/>
    public double Decode(int steps)
    {
        var slices = new SequenceSlice[_sequences];
        var watch = Stopwatch.StartNew();
        for (var step = 0; step < steps; step++, _position++)
        {
            for (var slot = 0; slot < _sequences; slot++)
            {
                var position = _position - (Stagger * slot);
                _ids[slot][position] = ((position * 17) + slot) % _idLimit;
                slices[slot] = new SequenceSlice(slot, _ids[slot], position, 1, WantsLogits: true);
            }

            _runner.Run(new StepPlan(slices, null));
        }

        return watch.Elapsed.TotalSeconds;
    }

    /// <inheritdoc/>
    public double Prefill(int positions)
    {
        Forget();
        var watch = Stopwatch.StartNew();
        RunPrompt(0, positions);
        return watch.Elapsed.TotalSeconds;
    }

    /// <inheritdoc/>
    public void Dispose() => _runner.Dispose();

    private static IModelRunner LoadRunner(ModelPackage loaded, int threads, int maxSequences)
    {
        var options = new EngineOptions { MaxSlots = maxSequences, Threads = threads, Device = OnnxModels.DeviceOf(loaded.Manifest) };
        var runner = OnnxModels.Load(loaded, options, out var codebook);
        codebook?.Dispose();
        return runner;
    }

    private void Forget()
    {
        for (var slot = 0; slot < _runner.SlotCount; slot++)
        {
            _runner.ReleaseSlot(slot);
        }
    }

    private void RunPrompt(int slot, int positions)
    {
        for (var i = 0; i < positions; i++)
        {
            _ids[slot][i] = ((i * 37) + (slot * 101)) % _idLimit;
        }

        _runner.Run(new StepPlan([], new SequenceSlice(slot, _ids[slot], 0, positions, WantsLogits: true)));
    }
}
