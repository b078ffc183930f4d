using Tessera.Engine.Execution;

namespace Tessera.Engine.Scheduling;

/// <summary>
/// Which sequence is in which slot. Decoding sequences are always in slots 0..n-1; the one that is being prefilled is in a slot above them. When a decoding
/// sequence leaves, the last one moves into its slot.
/// </summary>
internal sealed class SlotMap(IModelRunner runner, int slotCount)
{
    private readonly List<Sequence> _decoding = [];

    /// <summary>Decoding sequences; the index is the slot.</summary>
    public IReadOnlyList<Sequence> Decoding => _decoding;

    /// <summary>The sequence whose prompt is being run; null when there is none.</summary>
    public Sequence? Prefilling { get; private set; }

    /// <summary>Sequences with a slot.</summary>
    public int ActiveCount => _decoding.Count + (Prefilling is null ? 0 : 1);

    /// <summary>Slots.</summary>
    public int SlotCount => slotCount;

    /// <summary>Positions in use over all slots.</summary>
    public long PositionsInUse => _decoding.Sum(sequence => (long)sequence.ComputedCount) + (Prefilling?.ComputedCount ?? 0);

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

    /// <summary>Puts a waiting sequence into the first slot above the decoding ones.</summary>
    public void BeginPrefill(Sequence sequence, int thinkId)
    {
        if (Prefilling is not null || ActiveCount >= slotCount)
        {
            throw new InvalidOperationException($"no slot to prefill in: {ActiveCount} of {slotCount} slots taken");
        }

        sequence.Admit(_decoding.Count, thinkId);
        Prefilling = sequence;
    }

    /// <summary>The prompt was run: the sequence joins the decoding ones, moving down if one of them left meanwhile.</summary>
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
        List<Sequence> sequences = Prefilling is null ? [.. _decoding] : [.. _decoding, Prefilling];
        _decoding.Clear();
        Prefilling = null;
        foreach (var sequence in sequences)
        {
            TryReleaseSlot(sequence.Slot);
        }

        return sequences;
    }

    /// <summary>Checks the bookkeeping.</summary>
    public void AssertInvariants()
    {
        for (var slot = 0; slot < _decoding.Count; slot++)
        {
            var sequence = _decoding[slot];
            if (sequence.Slot != slot || sequence.Status != SequenceStatus.Decoding || sequence.ComputedCount != sequence.Ids.Length - 1)
            {
                throw new InvalidOperationException(
                    $"slot {slot}: sequence says slot {sequence.Slot}, {sequence.Status}, {sequence.ComputedCount} positions of {sequence.Ids.Length} ids");
            }
        }

        if (Prefilling is not { } prefilling)
        {
            return;
        }

        if (prefilling.Slot < _decoding.Count || prefilling.Slot >= slotCount || prefilling.Status != SequenceStatus.Prefilling)
        {
            throw new InvalidOperationException(
                $"prefilling sequence is {prefilling.Status} in slot {prefilling.Slot}, {_decoding.Count} decoding, {slotCount} slots");
        }
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
