using Tessera.Engine.Caching;
using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>Runs steps on a decoder graph in ONNX Runtime, with keys and values written in place into one <see cref="KvCache"/>.</summary>
public sealed class OnnxModelRunner : IModelRunner
{
    // Whole prompts come in any number from any slot on: what is bound for the last few combinations is kept.
    private const int MaxPromptBindings = 64;

    private readonly IModelDevice _device;
    private readonly LoadedDecoder _decoder;
    private readonly StepBuffers _buffers;
    private readonly DecoderBinding?[] _decodeBindings;
    private readonly DecoderBinding?[] _prefillBindings;
    private readonly Dictionary<(int FirstSlot, int Rows), DecoderBinding> _promptBindings = [];
    private readonly Dictionary<(int FirstSlot, int Rows), DecoderBinding> _partBindings = [];
    private readonly DecodeLanes? _lanes;
    private readonly DecoderBinding[] _parts = [];

    /// <summary>Loads a decoder graph on the processor and reserves the KV cache.</summary>
    /// <param name="decoderPath">The .onnx file.</param>
    /// <param name="architecture">What the manifest says; the graph is checked against it.</param>
    /// <param name="padId">Stands before the first position in n-gram embeddings.</param>
    /// <param name="options">Slots and threads.</param>
    /// <param name="kv">Type of keys and values: <c>f32</c>, <c>f16</c> or <c>int8</c>.</param>
    /// <exception cref="ModelPackageException">The graph cannot be loaded, or is not what the manifest says.</exception>
    /// <exception cref="OrtLibraryException">The native runtime cannot be used.</exception>
    public OnnxModelRunner(string decoderPath, Architecture architecture, int padId, EngineOptions options, string kv = "f32")
        : this(decoderPath, architecture, padId, options, kv, new HostDevice(options.Threads, options.SpinMicroseconds))
    {
    }

    /// <summary>The same on a device.</summary>
    /// <param name="decoderPath">The .onnx file.</param>
    /// <param name="architecture">What the manifest says; the graph is checked against it.</param>
    /// <param name="padId">Stands before the first position in n-gram embeddings.</param>
    /// <param name="options">Slots.</param>
    /// <param name="kv">Type of keys and values.</param>
    /// <param name="device">Where it runs; owned by the runner, also when it cannot be made.</param>
    internal OnnxModelRunner(string decoderPath, Architecture architecture, int padId, EngineOptions options, string kv, IModelDevice device)
    {
        _device = device;
        try
        {
            _decoder = LoadedDecoder.Load(device, decoderPath, architecture, kv);
            var promptPositions = (int)Math.Min(options.PrefillChunk, (long)options.MaxSlots * architecture.MaxPositions);
            _buffers = new StepBuffers(device, architecture, options.MaxSlots, promptPositions, padId);
            Cache = new KvCache(
                architecture, options.MaxSlots + options.PrefixCacheEntries, OrtValue.SizeOf(_decoder.KvType), options.SpareKvMiB * 1024L * 1024, device.ReservePool);
        }
        catch
        {
            _buffers?.Dispose();
            device.Dispose();
            throw;
        }

        var parts = DecodePolicy.Parts(options.MaxSlots, _decoder.MaxDecodeParts);
        if (parts > 1)
        {
            _parts = new DecoderBinding[parts];
            _lanes = new DecodeLanes(parts, options.SpinMicroseconds, part => _device.Run(_decoder.DecodeSession, part.Bound, DecodeShape.NoGraph));
        }

        _decodeBindings = new DecoderBinding?[options.MaxSlots + 1];
        _prefillBindings = new DecoderBinding?[options.MaxSlots];
        SlotCount = options.MaxSlots;
    }

    /// <summary>Keys and values.</summary>
    public KvCache Cache { get; }

    /// <inheritdoc/>
    public int VocabularySize => _buffers.VocabularySize;

    /// <inheritdoc/>
    public int SlotCount { get; }

    /// <inheritdoc/>
    public int CacheSlotCount => Cache.SlotCount - SlotCount;

    /// <inheritdoc/>
    public int MaxPositions => Cache.MaxPositions;

    /// <inheritdoc/>
    public long KvBytesPerPosition => Cache.BytesPerPosition;

    /// <inheritdoc/>
    public long? DeviceBytes => _device.BytesInUse;

    /// <inheritdoc/>
    public void Prepare()
    {
        foreach (var shape in _device.PreparedShapes)
            RunDecode([], shape);
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The plan is not one that can be run; nothing was run.</exception>
    /// <exception cref="OrtException">A run failed; positions of the slots that did not finish are as before.</exception>
    public ReadOnlySpan<float> Run(StepPlan plan)
    {
        PlanCheck.Check(plan, Cache, SlotCount);
        var rows = plan.Decode.Count;
        if (rows > 0)
            RunDecode(plan.Decode, _device.ShapeOf(rows, Cache));
        if (plan.Prompts.Count == 1)
            RunPrefill(plan.Prompts[0], rows);
        else if (plan.Prompts.Count > 1)
            RunPrompts(plan.Prompts, rows);
        rows += plan.Prompts.Count;
        if (plan.Prefill is { } chunk)
        {
            RunPrefill(chunk, rows);
            if (chunk.WantsLogits)
                rows++;
        }

        return _buffers.LogitsOf(rows);
    }

    /// <inheritdoc/>
    public void MoveSlot(int from, int to, int positionCount) => Cache.Move(from, to, positionCount);

    /// <inheritdoc/>
    public void ExpectPositions(int slot, int positionCount) => Cache.Expect(slot, positionCount);

    /// <inheritdoc/>
    public void ReleaseSlot(int slot) => Cache.Release(slot);

    /// <summary>Ends the run in progress at its next node, and every later run, with an <see cref="OrtException"/>; from any thread.</summary>
    public void Terminate() => _device.Terminate();

    /// <inheritdoc/>
    public void Dispose()
    {
        _lanes?.Dispose();
        foreach (var binding in _partBindings.Values)
            binding.Dispose();
        foreach (var binding in _decodeBindings)
            binding?.Dispose();
        foreach (var binding in _prefillBindings)
            binding?.Dispose();
        foreach (var binding in _promptBindings.Values)
            binding.Dispose();
        _buffers.Dispose();
        Cache.Dispose();
        _device.Dispose();
    }

    // Rows of the shape beyond the slices are nobody's.
    private void RunDecode(IReadOnlyList<SequenceSlice> slices, DecodeShape shape)
    {
        _buffers.WriteDecode(slices, shape, Cache);
        if (DecodePolicy.Parts(slices.Count, _parts.Length) is > 1 and var parts)
        {
            RunParts(slices.Count, parts);
        }
        else
        {
            var binding = _decodeBindings[shape.RowCount] ??= DecoderBinding.ForDecode(_decoder, _buffers, Cache, firstSlot: 0, shape.RowCount);
            Execute(_decoder.DecodeSession, binding, shape.GraphId, firstRow: 0, slices.Count);
        }

        for (var row = 0; row < slices.Count; row++)
            Cache.SetPositionCount(slices[row].Slot, slices[row].Start + 1);
    }

    private void RunParts(int rows, int parts)
    {
        for (var part = 0; part < parts; part++)
        {
            var first = DecodePolicy.FirstRow(rows, parts, part);
            var count = DecodePolicy.FirstRow(rows, parts, part + 1) - first;
            if (!_partBindings.TryGetValue((first, count), out var binding))
                _partBindings.Add((first, count), binding = DecoderBinding.ForDecode(_decoder, _buffers, Cache, first, count));
            _parts[part] = binding;
        }

        _buffers.Send();
        _lanes!.Run(_parts.AsSpan(0, parts));
        _buffers.Fetch(0, rows);
    }

    private void RunPrompts(IReadOnlyList<SequenceSlice> prompts, int logitsRow)
    {
        var key = (prompts[0].Slot, prompts.Count);
        if (!_promptBindings.TryGetValue(key, out var binding))
        {
            if (_promptBindings.Count == MaxPromptBindings)
                ClearPromptBindings();
            binding = DecoderBinding.ForPrompts(_decoder, _buffers, Cache, prompts[0].Slot, prompts.Count);
            _promptBindings.Add(key, binding);
        }

        var width = _buffers.WritePrompts(prompts);
        binding.BindPrompts(prompts.Count, width, logitsRow);
        Execute(_decoder.Session, binding, DecodeShape.NoGraph, logitsRow, prompts.Count);
        foreach (var prompt in prompts)
            Cache.SetPositionCount(prompt.Slot, prompt.Count);
    }

    private void ClearPromptBindings()
    {
        foreach (var binding in _promptBindings.Values)
            binding.Dispose();
        _promptBindings.Clear();
    }

    private void RunPrefill(SequenceSlice chunk, int logitsRow)
    {
        var binding = _prefillBindings[chunk.Slot] ??= DecoderBinding.ForPrompts(_decoder, _buffers, Cache, chunk.Slot, rows: 1);
        var wantedRows = chunk.WantsLogits ? 1 : 0;
        binding.BindChunk(chunk.Count, logitsRow, Math.Max(wantedRows, _device.MinLogitsRows));
        _buffers.WritePrefill(chunk);
        Execute(_decoder.Session, binding, DecodeShape.NoGraph, logitsRow, wantedRows);
        Cache.SetPositionCount(chunk.Slot, chunk.Start + chunk.Count);
    }

    /// <summary>Runs what was written, and reads rows of logits.</summary>
    private void Execute(OrtSession session, DecoderBinding binding, int graphId, int firstRow, int rowCount)
    {
        _buffers.Send();
        _device.Run(session, binding.Bound, graphId);
        _buffers.Fetch(firstRow, rowCount);
    }
}
