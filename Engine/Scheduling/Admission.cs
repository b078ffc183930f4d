namespace Tessera.Engine.Scheduling;

/// <summary>Gives waiting sequences slots, in their order. Used by the engine's thread alone.</summary>
/// <param name="queue">Sequences that wait.</param>
/// <param name="slots">Sequences with a slot.</param>
/// <param name="prefixes">Prefixes that can be copied.</param>
/// <param name="departures">Told about every admission.</param>
/// <param name="limits">Positions over all slots, and of prompts in one step.</param>
/// <param name="thinkId">Comes after every prompt.</param>
internal sealed class Admission(RequestQueue queue, SlotMap slots, PrefixCache prefixes, DepartureRate departures, SchedulerLimits limits, int thinkId)
{
    private readonly List<Sequence> _admitted = [];

    /// <summary>
    /// Admits as long as the first waiting sequence can have what it needs and this step has room for its prompt. A long prompt gets its slot also when it may not get
    /// on in this step: shorter ones behind it need not wait for it.
    /// </summary>
    /// <param name="runsLongPrompt">Whether a prompt that is too long for one step may get on in this one.</param>
    /// <returns>The sequences that have a slot for the first time.</returns>
    public IReadOnlyList<Sequence> Admit(bool runsLongPrompt)
    {
        _admitted.Clear();
        var budget = limits.PrefillChunk;
        Spend(slots.Prefilling, runsLongPrompt, ref budget);
        var batch = new PromptBatch();
        while (queue.First is { } sequence && TryAdmit(sequence, runsLongPrompt, ref budget, ref batch))
        {
        }

        slots.PlacePrompts();
        return _admitted;
    }

    private bool TryAdmit(Sequence sequence, bool runsLongPrompt, ref int budget, ref PromptBatch batch)
    {
        sequence.PrepareIds(thinkId);
        foreach (var follower in sequence.Followers)
        {
            follower.PrepareIds(thinkId);
        }

        var needed = sequence.CommittedPositions + sequence.HeadroomPositions;
        var state = new AdmissionState(slots.ActiveCount, slots.SlotCount, slots.CommittedPositions + slots.HeadroomPositions, limits.Positions);
        if (!AdmissionPolicy.CanAdmit(state, sequence.SlotDemand, needed))
        {
            return false;
        }

        var hit = FindPrefix(sequence);
        var isWhole = hit.Length == 0 && sequence.PromptCount <= limits.PrefillChunk;
        if (isWhole ? !batch.Fits(sequence.PromptCount, budget) : budget <= 0 || slots.Prefilling is not null)
        {
            return false;
        }

        queue.Remove(sequence);
        NoteAdmission(sequence, hit.Length);
        if (isWhole)
        {
            slots.BeginPrompt(sequence);
            batch = batch.With(sequence.PromptCount);
        }
        else
        {
            slots.BeginPrefill(sequence, hit);
            prefixes.Expect(sequence.Request.PromptPositions);
            Spend(sequence, runsLongPrompt, ref budget);
        }

        return true;
    }

    // What the chunk of this step leaves to whole prompts.
    private void Spend(Sequence? prefilling, bool runsLongPrompt, ref int budget)
    {
        if (prefilling is not null && (runsLongPrompt || !StepPolicy.IsLong(prefilling.PromptCount, prefilling.CopiedCount, limits.PrefillChunk)))
        {
            budget -= StepPolicy.PrefillCount(prefilling.ComputedCount, prefilling.PromptCount, budget);
        }
    }

    private void NoteAdmission(Sequence sequence, int hitLength)
    {
        if (!sequence.Clock.IsAdmitted)
        {
            departures.Mark(othersWait: queue.First is not null);
            prefixes.Count(sequence.Request.PromptPositions, Math.Min(hitLength, sequence.Request.PromptPositions));
            _admitted.Add(sequence);
        }
    }

    // Kept prefixes go before they cost a sequence its place. The one that was found was used last and goes last; when it must go too, nothing is copied.
    private PrefixHit FindPrefix(Sequence sequence)
    {
        var hit = prefixes.Find(sequence, slots.All);
        var needed = slots.CommittedPositions + sequence.CommittedPositions;
        if (needed + prefixes.PositionCount <= limits.Positions)
        {
            return hit;
        }

        while (needed + prefixes.PositionCount > limits.Positions && prefixes.TryEvict())
        {
        }

        return prefixes.Find(sequence, slots.All);
    }

    /// <summary>Whole prompts that run in one call.</summary>
    private readonly record struct PromptBatch(int Count, int Longest, int Total)
    {
        public bool Fits(int next, int budget) => StepPolicy.FitsPrompts(Count, Longest, Total, next, budget);

        public PromptBatch With(int next) => new(Count + 1, Math.Max(Longest, next), Total + next);
    }
}

