using Tessera.Engine.Execution;

namespace Tessera.Engine.Scheduling;

/// <summary>One step: what the runner runs, and whose next token each row of logits is.</summary>
/// <param name="Plan">For the runner.</param>
/// <param name="Rows">Sequence of each row of logits.</param>
internal sealed record ScheduledStep(StepPlan Plan, IReadOnlyList<Sequence> Rows);

/// <summary>Owns the waiting sequences, the slots and the reserved KV positions. Used by the engine's thread alone.</summary>
/// <param name="queue">Sequences that wait.</param>
/// <param name="slots">Sequences with a slot.</param>
/// <param name="departures">Told about every admission.</param>
/// <param name="positionCapacity">KV positions over all slots.</param>
/// <param name="prefillChunk">Most positions of one prefill chunk.</param>
/// <param name="thinkId">Comes after every prompt.</param>
internal sealed class Scheduler(RequestQueue queue, SlotMap slots, DepartureRate departures, long positionCapacity, int prefillChunk, int thinkId)
{
    private readonly List<Sequence> _pastDeadline = [];
    private long _reservedPositions;

    /// <summary>Whether there is anything to run.</summary>
    public bool HasWork => queue.First is not null || slots.ActiveCount > 0;

    /// <summary>Sequences with a slot.</summary>
    public int RunningCount => slots.ActiveCount;

    /// <summary>KV positions in use.</summary>
    public long PositionsInUse => slots.PositionsInUse;

    /// <summary>Puts a sequence, for which a place was reserved, into the queue.</summary>
    public void Add(Sequence sequence) => queue.Add(sequence);

    /// <summary>Sequences, waiting or with a slot, whose time limit was reached.</summary>
    public IReadOnlyList<Sequence> PastDeadline()
    {
        _pastDeadline.Clear();
        slots.AddPastDeadline(_pastDeadline);
        queue.AddPastDeadline(_pastDeadline);
        return _pastDeadline;
    }

    /// <summary>Gives the first waiting sequence a slot, if it can have one now.</summary>
    /// <returns>The sequence; null when nobody was admitted.</returns>
    public Sequence? TryAdmit()
    {
        var state = new AdmissionState(slots.ActiveCount, slots.SlotCount, slots.Prefilling is not null, _reservedPositions, positionCapacity);
        if (queue.First is not { } sequence || !AdmissionPolicy.CanAdmit(state, sequence.Request.WorstCasePositions))
        {
            return null;
        }

        queue.Remove(sequence);
        departures.Mark(othersWait: queue.First is not null);
        _reservedPositions += sequence.Request.WorstCasePositions;
        slots.BeginPrefill(sequence, thinkId);
        return sequence;
    }

    /// <summary>Plans the next step: one position of every decoding sequence, and one chunk of the prompt that is being run.</summary>
    public ScheduledStep PlanStep()
    {
        var rows = new List<Sequence>(slots.ActiveCount);
        var decode = new SequenceSlice[slots.Decoding.Count];
        for (var slot = 0; slot < decode.Length; slot++)
        {
            var sequence = slots.Decoding[slot];
            decode[slot] = new SequenceSlice(slot, sequence.Ids, sequence.ComputedCount, 1, WantsLogits: true);
            rows.Add(sequence);
        }

        SequenceSlice? prefill = slots.Prefilling is { } prefilling ? PlanPrefill(prefilling) : null;
        if (prefill is { WantsLogits: true })
        {
            rows.Add(slots.Prefilling!);
        }

        return new ScheduledStep(new StepPlan(decode, prefill), rows);
    }

    /// <summary>Notes that a step has run; a prompt that is complete joins the decoding sequences.</summary>
    public void Advance(ScheduledStep step)
    {
        foreach (var sequence in slots.Decoding)
        {
            sequence.Advance(1);
        }

        if (step.Plan.Prefill is { } slice)
        {
            slots.Prefilling!.Advance(slice.Count);
            if (slice.WantsLogits)
            {
                slots.EndPrefill();
            }
        }
    }

    /// <summary>Takes from a sequence whatever it owns.</summary>
    public void Release(Sequence sequence)
    {
        if (sequence.Status == SequenceStatus.Waiting)
        {
            queue.Remove(sequence);
        }
        else
        {
            slots.Remove(sequence);
            _reservedPositions -= sequence.Request.WorstCasePositions;
        }

        sequence.Release();
    }

    /// <summary>Takes all slots away, after a failed step.</summary>
    /// <returns>The sequences that had them.</returns>
    public IReadOnlyList<Sequence> ReleaseRunning()
    {
        var sequences = slots.Clear();
        foreach (var sequence in sequences)
        {
            sequence.Release();
        }

        _reservedPositions = 0;
        return sequences;
    }

    /// <summary>Takes the places of all waiting sequences away.</summary>
    public IReadOnlyList<Sequence> ReleaseWaiting()
    {
        var sequences = new List<Sequence>();
        while (queue.First is { } sequence)
        {
            Release(sequence);
            sequences.Add(sequence);
        }

        return sequences;
    }

    /// <summary>Checks the bookkeeping of everything owned here.</summary>
    public void AssertInvariants()
    {
        queue.AssertInvariants();
        slots.AssertInvariants();
        var reserved = slots.Decoding.Sum(sequence => (long)sequence.Request.WorstCasePositions) + (slots.Prefilling?.Request.WorstCasePositions ?? 0);
        if (reserved != _reservedPositions || reserved > positionCapacity || PositionsInUse > reserved)
        {
            throw new InvalidOperationException(
                $"KV positions: {_reservedPositions} reserved, {reserved} by the sequences, {PositionsInUse} in use, capacity {positionCapacity}");
        }
    }

    private SequenceSlice PlanPrefill(Sequence sequence)
    {
        var promptPositions = sequence.Request.PromptPositions;
        var count = StepPolicy.PrefillCount(sequence.ComputedCount, promptPositions, prefillChunk);
        var isLast = sequence.ComputedCount + count == promptPositions;
        return new SequenceSlice(sequence.Slot, sequence.Ids, sequence.ComputedCount, count, isLast);
    }
}
