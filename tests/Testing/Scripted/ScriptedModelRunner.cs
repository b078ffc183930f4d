using System.Collections.Concurrent;
using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Testing;

/// <summary>A step that a scripted runner has run.</summary>
/// <param name="DecodeCount">Decode rows.</param>
/// <param name="PrefillSlot">Slot of the prefill chunk; null when there was none.</param>
/// <param name="PrefillStart">Positions that were in the slot before.</param>
/// <param name="PrefillCount">Positions of the chunk.</param>
public sealed record RecordedStep(int DecodeCount, int? PrefillSlot, int PrefillStart, int PrefillCount)
{
    /// <summary>Whole prompts that ran in one call.</summary>
    public int PromptCount { get; init; }

    /// <summary>Rows of the step.</summary>
    public int RowCount => DecodeCount + PromptCount + (PrefillSlot is null ? 0 : 1);
}

/// <summary>
/// A deterministic model for tests of everything above the runtime. It keeps the ids of each slot, as a KV cache keeps keys and values, and computes logits from
/// them alone: a sequence in the wrong slot, or moved wrongly, says wrong tokens. It checks every plan.
/// </summary>
/// <param name="vocabularySize">Width of a logits row.</param>
/// <param name="next">Ids that the model wants to say after the ids of a sequence, best first. All other ids get lower, made-up logits.</param>
public sealed class ScriptedModelRunner(int vocabularySize, Func<IReadOnlyList<int>, IReadOnlyList<int>> next) : IModelRunner
{
    private readonly Lock _lock = new();
    private readonly List<RecordedStep> _steps = [];
    private readonly Dictionary<int, List<int>> _slots = [];
    private volatile Action<StepPlan>? _beforeRun;
    private int _moveCount;

    /// <summary>Creates a runner for one script, whatever the prompt.</summary>
    public ScriptedModelRunner(ModelPackage package, TraceScript script)
        : this(package.Vocabulary.Size, script.Next)
    {
        MaxPositions = package.Manifest.Architecture.MaxPositions;
    }

    /// <inheritdoc/>
    public int VocabularySize => vocabularySize;

    /// <inheritdoc/>
    public int SlotCount { get; init; } = 8;

    /// <inheritdoc/>
    public int CacheSlotCount { get; init; }

    /// <inheritdoc/>
    public int MaxPositions { get; init; } = 256;

    /// <inheritdoc/>
    public long KvBytesPerPosition { get; init; } = 1024;

    /// <inheritdoc/>
    public long? DeviceBytes { get; set; }

    /// <summary>Called before each step, on the engine's thread: may throw (the step fails) or block (the step hangs).</summary>
    public Action<StepPlan>? BeforeRun
    {
        get => _beforeRun;
        set => _beforeRun = value;
    }

    /// <summary>Changes a logits row before it is given out; gets the ids of the sequence.</summary>
    public Action<IReadOnlyList<int>, float[]>? ChangeLogits { get; set; }

    /// <summary>Whether <see cref="Dispose"/> was called.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>Slots that were moved.</summary>
    public int MoveCount => Volatile.Read(ref _moveCount);

    /// <summary>Steps so far, the warm-up's two included.</summary>
    public IReadOnlyList<RecordedStep> Steps
    {
        get
        {
            lock (_lock)
            {
                return [.. _steps];
            }
        }
    }

    /// <summary>Positions in all slots that were not released.</summary>
    public int StoredPositionCount
    {
        get
        {
            lock (_lock)
            {
                return _slots.Values.Sum(slot => slot.Count);
            }
        }
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Run(StepPlan plan)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        BeforeRun?.Invoke(plan);
        lock (_lock)
        {
            _steps.Add(new RecordedStep(plan.Decode.Count, plan.Prefill?.Slot, plan.Prefill?.Start ?? 0, plan.Prefill?.Count ?? 0)
            {
                PromptCount = plan.Prompts.Count,
            });
            var rows = new List<float>();
            for (var i = 0; i < plan.Decode.Count; i++)
            {
                Require(plan.Decode[i].Slot == i, $"decode row {i} is in slot {plan.Decode[i].Slot}");
                Require(plan.Decode[i] is { Count: 1, WantsLogits: true }, $"decode row {i} runs {plan.Decode[i].Count} positions");
                rows.AddRange(RunSlice(plan.Decode[i]));
            }

            for (var i = 0; i < plan.Prompts.Count; i++)
            {
                Require(plan.Prompts[i].Slot == plan.Decode.Count + i, $"prompt {i} is in slot {plan.Prompts[i].Slot}, {plan.Decode.Count} decode");
                Require(plan.Prompts[i] is { Start: 0, WantsLogits: true }, $"prompt {i} starts at {plan.Prompts[i].Start}");
                rows.AddRange(RunSlice(plan.Prompts[i]));
            }

            if (plan.Prefill is { } prefill)
            {
                Require(prefill.Slot >= plan.Decode.Count + plan.Prompts.Count, $"prefill slot {prefill.Slot} is a decoding one");
                var row = RunSlice(prefill);
                rows.AddRange(prefill.WantsLogits ? row : []);
            }

            return rows.ToArray();
        }
    }

    /// <inheritdoc/>
    public void MoveSlot(int from, int to, int positionCount)
    {
        lock (_lock)
        {
            Require(from != to, $"slot {from} is moved onto itself");
            Require(from < SlotCount + CacheSlotCount && to < SlotCount + CacheSlotCount, $"slot {from} is moved to {to} of {SlotCount}+{CacheSlotCount}");
            Require(_slots.TryGetValue(from, out var content) && content.Count >= positionCount, $"slot {from} does not have {positionCount} positions");
            _slots[to] = [.. _slots[from].Take(positionCount)];
            _moveCount++;
        }
    }

    /// <summary>Slots and positions that were said to be needed soon.</summary>
    public ConcurrentQueue<(int Slot, int PositionCount)> Expected { get; } = [];

    /// <inheritdoc/>
    public void ExpectPositions(int slot, int positionCount) => Expected.Enqueue((slot, positionCount));

    /// <inheritdoc/>
    public void ReleaseSlot(int slot)
    {
        lock (_lock)
        {
            _slots.Remove(slot);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => IsDisposed = true;

    private float[] RunSlice(SequenceSlice slice)
    {
        Require(slice.Slot < SlotCount, $"slot {slice.Slot} of {SlotCount}");
        Require(slice.Start + slice.Count <= Math.Min(MaxPositions, slice.Ids.Length), $"positions {slice.Start}+{slice.Count} of {slice.Ids.Length} ids");
        if (!_slots.TryGetValue(slice.Slot, out var content))
        {
            _slots[slice.Slot] = content = [];
        }

        // A slot that a failed step left behind is overwritten from the start.
        content.RemoveRange(Math.Min(slice.Start, content.Count), Math.Max(0, content.Count - slice.Start));
        Require(content.Count == slice.Start, $"slot {slice.Slot} has {content.Count} positions, the plan says {slice.Start}");
        content.AddRange(slice.Ids.Span.Slice(slice.Start, slice.Count));
        return CreateLogits(content);
    }

    private float[] CreateLogits(List<int> content)
    {
        var seed = 17u;
        foreach (var id in content)
        {
            seed = (seed * 31) + (uint)id;
        }

        var logits = new float[vocabularySize];
        for (var id = 0; id < logits.Length; id++)
        {
            // Made up, in [0, 1), a function of all ids of the sequence.
            logits[id] = (((seed ^ (uint)id) * 2654435761u) >> 8) / (float)(1 << 24);
        }

        var wanted = next(content);
        for (var rank = wanted.Count - 1; rank >= 0; rank--)
        {
            logits[wanted[rank]] = 8 - rank;
        }

        ChangeLogits?.Invoke(content, logits);
        return logits;
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidOperationException("scripted runner: " + message);
        }
    }
}
