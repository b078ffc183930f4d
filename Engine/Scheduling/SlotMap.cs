using Tessera.Engine.Execution;

namespace Tessera.Engine.Scheduling;

/// <summary>
/// Which sequence is in which slot. Decoding sequences are always in slots 0..n-1. Whole prompts of the step that is planned follow in the next slots; they
/// decode after it. A sequence whose prompt takes several steps, or begin in a copied prefix, is in any slot above. When a decoding sequence leaves, the last one
/// moves into its slot.
/// </summary>
internal sealed class SlotMap(IModelRunner runner, int slotCount)
{
    private readonly List<Sequence> _decoding = [];
    private readonly List<Sequence> _prompts = [];

    /// <summary>Decoding sequences; the index is the slot.</summary>
    public IReadOnlyList<Sequence> Decoding => _decoding;

    /// <summary>Sequences whose whole prompts run in the step that is planned.</summary>
    public IReadOnlyList<Sequence> Prompts => _prompts;

    /// <summary>The sequence whose prompt is being run in chunks; null when there is none.</summary>
    public Sequence? Prefilling { get; private set; }

    /// <summary>Slots that are taken, or promised to followers.</summary>
    public int ActiveCount => _decoding.Count + PromptSlots() + (Prefilling?.SlotDemand ?? 0);

    /// <summary>Slots.</summary>
    public int SlotCount => slotCount;

    /// <summary>Positions in use over all slots.</summary>
    public long PositionsInUse => Sum(static sequence => sequence.ComputedCount);

    /// <summary>Positions that the sequences need for what they have.</summary>
    public long CommittedPositions => Sum(static sequence => sequence.CommittedPositions);

    /// <summary>Positions that they need soon beyond those.</summary>
    public long HeadroomPositions => Sum(static sequence => sequence.HeadroomPositions);

    /// <summary>All sequences with a slot.</summary>
    public IEnumerable<Sequence> All => Prefilling is null ? _decoding.Concat(_prompts) : _decoding.Concat(_prompts).Append(Prefilling);

    /// <summary>The sequence with a slot that came last; null when there is none.</summary>
    public Sequence? Youngest
    {
        get
        {
            var youngest = Prefilling;
            foreach (var sequence in _decoding)
            {
                youngest = youngest is null || sequence.Order > youngest.Order ? sequence : youngest;
            }

            return youngest;
        }
    }

    /// <summary>Adds the sequences whose time limit was reached.</summary>
    public void AddPastDeadline(List<Sequence> target)
    {
        foreach (var sequence in _decoding)
        {
            if (sequence.IsPastDeadline)
            {
                target.Add(sequence);
            }
        }

        if (Prefilling is { IsPastDeadline: true } prefilling)
        {
            target.Add(prefilling);
        }
    }

    /// <summary>Puts a waiting sequence into the step that is planned, as a whole prompt; <see cref="PlacePrompts"/> gives it its slot.</summary>
    public void BeginPrompt(Sequence sequence)
    {
        RequireRoom(sequence);
        sequence.Admit(_decoding.Count + _prompts.Count, computed: 0, cached: 0);
        _prompts.Add(sequence);
    }

    /// <summary>Puts a waiting sequence into the first slot above the decoding ones, to be run in chunks.</summary>
    public void BeginPrefill(Sequence sequence, PrefixHit hit)
    {
        RequireRoom(sequence);
        if (Prefilling is not null)
        {
            throw new InvalidOperationException("a sequence is being run in chunks already");
        }

        // In place before anything is copied: if that fails, the failed step takes the sequence along.
        sequence.Admit(_decoding.Count, hit.Length, cached: hit.Length);
        Prefilling = sequence;
        runner.ExpectPositions(sequence.Slot, sequence.PromptCount);
        Copy(hit, sequence.Slot);
    }

    /// <summary>Gives the whole prompts the slots directly above the decoding ones.</summary>
    public void PlacePrompts()
    {
        KeepFree(_decoding.Count, _prompts.Count);
        for (var i = 0; i < _prompts.Count; i++)
        {
            _prompts[i].MoveTo(_decoding.Count + i);
        }
    }

    /// <summary>The whole prompts were run: they join the decoding sequences.</summary>
    public void EndPrompts()
    {
        foreach (var sequence in _prompts)
        {
            sequence.BeginDecoding(_decoding.Count);
            _decoding.Add(sequence);
        }

        _prompts.Clear();
    }

    /// <summary>The last chunk was run: the sequence joins the decoding ones, moving down if need be.</summary>
    public void EndPrefill()
    {
        var sequence = Prefilling ?? throw new InvalidOperationException("no sequence is being prefilled");
        var slot = _decoding.Count;
        if (sequence.Slot != slot)
        {
            runner.MoveSlot(sequence.Slot, slot, sequence.ComputedCount);
            runner.ReleaseSlot(sequence.Slot);
        }

        sequence.BeginDecoding(slot);
        _decoding.Add(sequence);
        Prefilling = null;
    }

    /// <summary>Gives a follower of a decoding sequence a slot with a copy of its positions.</summary>
    public void Fork(Sequence leader, Sequence follower)
    {
        var slot = _decoding.Count;
        KeepFree(slot, 1);
        follower.Admit(slot, leader.ComputedCount, leader.CachedCount);
        follower.BeginDecoding(slot);
        _decoding.Add(follower);
        runner.MoveSlot(leader.Slot, slot, leader.ComputedCount);
    }

    /// <summary>Takes a sequence out of its slot.</summary>
    public void Remove(Sequence sequence)
    {
        // The runtime is asked first: if it fails, the sequence still has its slot and the failed step takes it along.
        if (sequence == Prefilling)
        {
            runner.ReleaseSlot(sequence.Slot);
            Prefilling = null;
            return;
        }

        var last = _decoding[^1];
        var emptied = last.Slot;
        if (last != sequence)
        {
            runner.MoveSlot(emptied, sequence.Slot, last.ComputedCount);
        }

        runner.ReleaseSlot(emptied);
        if (last != sequence)
        {
            last.MoveTo(sequence.Slot);
            _decoding[sequence.Slot] = last;
        }

        _decoding.RemoveAt(_decoding.Count - 1);
    }

    /// <summary>Empties all slots after a failed step, whatever the runtime says to it.</summary>
    /// <returns>The sequences that were in them.</returns>
    public IReadOnlyList<Sequence> Clear()
    {
        List<Sequence> sequences = [.. All];
        _decoding.Clear();
        _prompts.Clear();
        Prefilling = null;

        // All slots, not only those of the sequences: a copy may have failed half-way.
        for (var slot = 0; slot < slotCount; slot++)
        {
            TryReleaseSlot(slot);
        }

        return sequences;
    }

    /// <summary>Checks the bookkeeping between steps.</summary>
    public void AssertInvariants()
    {
        for (var slot = 0; slot < _decoding.Count; slot++)
        {
            var sequence = _decoding[slot];
            if (sequence.Slot != slot || sequence.Status != SequenceStatus.Decoding || sequence.PendingCount < 1 || sequence.Followers.Count > 0)
            {
                throw new InvalidOperationException(
                    $"slot {slot}: sequence says slot {sequence.Slot}, {sequence.Status}, {sequence.ComputedCount} positions of {sequence.Ids.Length} ids, "
                    + $"{sequence.Followers.Count} followers");
            }
        }

        if (_prompts.Count > 0 || ActiveCount > slotCount)
        {
            throw new InvalidOperationException($"{_prompts.Count} whole prompts were not run; {ActiveCount} of {slotCount} slots taken");
        }

        if (Prefilling is { } prefilling
            && (prefilling.Slot < _decoding.Count || prefilling.Slot >= slotCount || prefilling.Status != SequenceStatus.Prefilling || prefilling.ComputedCount >= prefilling.PromptCount))
        {
            throw new InvalidOperationException(
                $"prefilling sequence is {prefilling.Status} in slot {prefilling.Slot}, {_decoding.Count} decoding, {slotCount} slots");
        }
    }

    private long Sum(Func<Sequence, long> number)
    {
        long sum = 0;
        foreach (var sequence in _decoding)
        {
            sum += number(sequence);
        }

        foreach (var sequence in _prompts)
        {
            sum += number(sequence);
        }

        return sum + (Prefilling is null ? 0 : number(Prefilling));
    }

    private int PromptSlots()
    {
        var count = 0;
        foreach (var sequence in _prompts)
        {
            count += sequence.SlotDemand;
        }

        return count;
    }

    private void RequireRoom(Sequence sequence)
    {
        if (ActiveCount + sequence.SlotDemand > slotCount)
        {
            throw new InvalidOperationException($"no slot for {sequence.SlotDemand} sequences: {ActiveCount} of {slotCount} slots taken");
        }
    }

    private void Copy(PrefixHit hit, int slot)
    {
        if (hit.Length > 0)
        {
            runner.MoveSlot(hit.Slot, slot, hit.Length);
        }
    }

    // The sequence that is run in chunks makes way: it goes to the last slot, which nobody else can have while there is room.
    private void KeepFree(int firstSlot, int count)
    {
        if (Prefilling is not { } prefilling || prefilling.Slot < firstSlot || prefilling.Slot >= firstSlot + count)
        {
            return;
        }

        var from = prefilling.Slot;
        if (prefilling.ComputedCount > 0)
        {
            runner.MoveSlot(from, slotCount - 1, prefilling.ComputedCount);
            runner.ReleaseSlot(from);
        }

        prefilling.MoveTo(slotCount - 1);
    }

    private void TryReleaseSlot(int slot)
    {
        try
        {
            runner.ReleaseSlot(slot);
        }
        catch (Exception)
        {
            // The step's own failure is reported; a slot that keeps its memory is overwritten by its next sequence.
        }
    }
}
