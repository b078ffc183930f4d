namespace Tessera.Engine.Execution;

/// <summary>
/// The seam between the engine and the runtime: runs a <see cref="StepPlan"/> and gives logits. Owned by the engine's one thread; not thread-safe.
/// </summary>
public interface IModelRunner : IDisposable
{
    /// <summary>Width of a logits row.</summary>
    int VocabularySize { get; }

    /// <summary>Slots of the KV cache.</summary>
    int SlotCount { get; }

    /// <summary>
    /// Slots above <see cref="SlotCount"/> that no plan may name: they keep prefixes for <see cref="MoveSlot"/> to copy from and to.
    /// </summary>
    int CacheSlotCount => 0;

    /// <summary>Positions per slot.</summary>
    int MaxPositions { get; }

    /// <summary>Bytes of keys and values that one position takes over all layers.</summary>
    long KvBytesPerPosition { get; }

    /// <summary>Bytes of device memory held, as last measured; null when the model runs on the CPU. Safe from any thread.</summary>
    long? DeviceBytes => null;

    /// <summary>Does once what the first steps would do otherwise, with all slots free, on the thread that runs steps: a device captures its decode calls.</summary>
    void Prepare()
    {
    }

    /// <summary>
    /// Runs the plan: first all decode rows in one call, then the whole prompts in one call, then the prefill chunk. Writes keys and values into the rows'
    /// slots.
    /// </summary>
    /// <param name="plan">Decode rows must be in slots 0..n-1, in this order (a dense prefix of the pool), whole prompts in the slots that follow.</param>
    /// <returns>
    /// One row of <see cref="VocabularySize"/> logits per decode row, then one per whole prompt, then one for the prefill chunk if it wants logits. Valid until
    /// the next call.
    /// </returns>
    ReadOnlySpan<float> Run(StepPlan plan);

    /// <summary>Copies the first <paramref name="positionCount"/> positions of a slot over another slot.</summary>
    void MoveSlot(int from, int to, int positionCount);

    /// <summary>Says that a slot will soon hold so many positions, so that memory for them can be there in time.</summary>
    void ExpectPositions(int slot, int positionCount)
    {
    }

    /// <summary>Forgets a slot's positions; their memory stays for the next ones or goes back to the system.</summary>
    void ReleaseSlot(int slot);
}

/// <summary>A part of one sequence that a step runs.</summary>
/// <param name="Slot">Slot of the sequence.</param>
/// <param name="Ids">All ids of the sequence so far; the run part is <c>[Start, Start + Count)</c>, what stands before feeds n-gram embeddings.</param>
/// <param name="Start">Positions already in the slot.</param>
/// <param name="Count">Positions to run; 1 for a decode row.</param>
/// <param name="WantsLogits">Whether the logits of the last run position are wanted; always true for a decode row.</param>
public readonly record struct SequenceSlice(int Slot, ReadOnlyMemory<int> Ids, int Start, int Count, bool WantsLogits);

/// <summary>Which sequences run in a step, and how many positions each.</summary>
/// <param name="Decode">One position each; slots 0..n-1 in order.</param>
/// <param name="Prefill">At most one chunk of one sequence, in a slot above all others of the plan.</param>
public sealed record StepPlan(IReadOnlyList<SequenceSlice> Decode, SequenceSlice? Prefill)
{
    /// <summary>
    /// Whole prompts, from position 0 on, in the slots directly above the decode rows in order: run in one call, padded on the right to the longest.
    /// </summary>
    public IReadOnlyList<SequenceSlice> Prompts { get; init; } = [];
}
