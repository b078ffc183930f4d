using Tessera.Engine.Execution;

namespace Tessera.Engine.Scheduling;

/// <summary>One step: what the runner runs, and whose next token each row of logits is.</summary>
/// <param name="Plan">For the runner.</param>
/// <param name="Rows">Sequences that get a token, with their row of logits; responses to one prompt share a row.</param>
internal sealed record ScheduledStep(StepPlan Plan, IReadOnlyList<ScheduledRow> Rows);

/// <summary>A sequence that gets a token.</summary>
/// <param name="Sequence">The sequence.</param>
/// <param name="LogitsRow">Its row of logits.</param>
internal readonly record struct ScheduledRow(Sequence Sequence, int LogitsRow);

/// <summary>Owns the waiting sequences, the slots, the kept prefixes and the KV positions. Used by the engine's thread alone.</summary>
/// <param name="queue">Sequences that wait.</param>
/// <param name="slots">Sequences with a slot.</param>
/// <param name="prefixes">Prefixes that can be copied.</param>
/// <param name="departures">Told about every admission.</param>
/// <param name="limits">Positions over all slots, and of prompts in one step.</param>
/// <param name="thinkId">Comes after every prompt.</param>
internal sealed class Scheduler(RequestQueue queue, SlotMap slots, PrefixCache prefixes, DepartureRate departures, SchedulerLimits limits, int thinkId)
{
    private readonly List<Sequence> _pastDeadline = [];
    private readonly List<Sequence> _admitted = [];
    private long _nextOrder;

    /// <summary>Whether there is anything to run.</summary>
    public bool HasWork => queue.First is not null || slots.ActiveCount > 0;

    /// <summary>Sequences with a slot.</summary>
    public int RunningCount => slots.ActiveCount;

    /// <summary>KV positions in use.</summary>
    public long PositionsInUse => slots.PositionsInUse;

    /// <summary>KV positions of kept prefixes.</summary>
    public long PositionsKept => prefixes.PositionCount;

    /// <summary>Prompt tokens for which a prefix was looked for, and those that were copied.</summary>
    public (long Queried, long Hit) PrefixTokens => (prefixes.QueriedTokens, prefixes.HitTokens);

    /// <summary>Times a sequence lost its slot to an older one.</summary>
    public long PreemptionCount { get; private set; }

    /// <summary>Puts a sequence, for which a place was reserved, into the queue.</summary>
    public void Add(Sequence sequence)
    {
        sequence.Order = _nextOrder++;
        foreach (var follower in sequence.Followers)
        {
            follower.Order = _nextOrder++;
        }

        queue.Add(sequence);
    }

    /// <summary>Sequences, waiting or with a slot, whose time limit was reached.</summary>
    public IReadOnlyList<Sequence> PastDeadline()
    {
        _pastDeadline.Clear();
        slots.AddPastDeadline(_pastDeadline);
        queue.AddPastDeadline(_pastDeadline);
        return _pastDeadline;
    }

    /// <summary>
    /// Makes sure that the next step finds its positions: kept prefixes go first, then the youngest sequences lose their slots, to be run again later. The oldest
    /// never does, because what one request can take was checked against the capacity; so the oldest always gets to its end, and then the next one is the oldest.
    /// </summary>
    public void FreePositions()
    {
        while (slots.CommittedPositions + prefixes.PositionCount > limits.Positions)
        {
            if (!prefixes.TryEvict())
            {
                Preempt(slots.Youngest ?? throw new InvalidOperationException("positions are missing, but nobody has any"));
            }
        }
    }

    /// <summary>Gives waiting sequences slots, in their order, as long as the first one can have what it needs and this step has room for its prompt.</summary>
    /// <returns>The sequences that have a slot for the first time.</returns>
    public IReadOnlyList<Sequence> Admit()
    {
        _admitted.Clear();
        var budget = limits.PrefillChunk - (slots.Prefilling is { } running ? StepPolicy.PrefillCount(running.ComputedCount, running.PromptCount, limits.PrefillChunk) : 0);
        var batch = new PromptBatch();
        while (queue.First is { } sequence && TryAdmit(sequence, ref budget, ref batch))
        {
        }

        slots.PlacePrompts();
        return _admitted;
    }

    /// <summary>
    /// Plans the next step: one position of every decoding sequence, the whole prompts that were admitted, and a chunk of the one that takes several steps.
    /// </summary>
    public ScheduledStep PlanStep()
    {
        var rows = new List<ScheduledRow>(slots.ActiveCount);
        var decode = new SequenceSlice[slots.Decoding.Count];
        for (var slot = 0; slot < decode.Length; slot++)
        {
            var sequence = slots.Decoding[slot];
            decode[slot] = new SequenceSlice(slot, sequence.Ids, sequence.ComputedCount, 1, WantsLogits: true);

            // A sequence with forced tokens behind its last sampled one, or that is run again, catches up in steps that are made anyway, and samples when it has.
            if (sequence.PendingCount == 1)
            {
                rows.Add(new ScheduledRow(sequence, slot));
            }
        }

        var prompts = new SequenceSlice[slots.Prompts.Count];
        for (var i = 0; i < prompts.Length; i++)
        {
            var sequence = slots.Prompts[i];
            prompts[i] = new SequenceSlice(sequence.Slot, sequence.Ids, 0, sequence.PromptCount, WantsLogits: true);
            AddRows(rows, sequence, decode.Length + i);
        }

        SequenceSlice? prefill = slots.Prefilling is { } prefilling ? PlanPrefill(prefilling, prompts) : null;
        if (prefill is { WantsLogits: true })
        {
            AddRows(rows, slots.Prefilling!, decode.Length + prompts.Length);
        }

        return new ScheduledStep(new StepPlan(decode, prefill) { Prompts = prompts }, rows);
    }

    /// <summary>Notes that a step has run; prompts that are complete join the decoding sequences, and their followers get copies.</summary>
    public void Advance(ScheduledStep step)
    {
        foreach (var slice in step.Plan.Decode)
        {
            slots.Decoding[slice.Slot].Advance(1);
        }

        foreach (var sequence in slots.Prompts)
        {
            sequence.Advance(sequence.PromptCount);
        }

        slots.EndPrompts();
        if (step.Plan.Prefill is { } chunk)
        {
            var sequence = slots.Prefilling!;
            sequence.Advance(chunk.Count);
            if (sequence.ComputedCount == sequence.PromptCount)
            {
                slots.EndPrefill();
            }
        }

        foreach (var row in step.Rows)
        {
            ForkFollowers(row.Sequence);
        }
    }

    /// <summary>Takes from a sequence whatever it owns.</summary>
    /// <param name="sequence">The sequence; its followers are the caller's.</param>
    /// <param name="keepsPrefix">Whether its prompt may serve others.</param>
    public void Release(Sequence sequence, bool keepsPrefix)
    {
        if (sequence.Status == SequenceStatus.Waiting)
        {
            queue.Remove(sequence);
        }
        else
        {
            if (keepsPrefix && sequence.Status == SequenceStatus.Decoding)
            {
                prefixes.Keep(sequence, limits.Positions - slots.CommittedPositions);
            }

            slots.Remove(sequence);
        }

        sequence.Release();
    }

    /// <summary>Takes all slots and kept prefixes away, after a failed step.</summary>
    /// <returns>The sequences that had slots, followers included.</returns>
    public IReadOnlyList<Sequence> ReleaseRunning()
    {
        var sequences = WithFollowers(slots.Clear());
        prefixes.Clear();
        return sequences;
    }

    /// <summary>Takes the places of all waiting sequences away.</summary>
    /// <returns>The sequences, followers included.</returns>
    public IReadOnlyList<Sequence> ReleaseWaiting()
    {
        var sequences = new List<Sequence>();
        while (queue.First is { } sequence)
        {
            queue.Remove(sequence);
            sequences.Add(sequence);
        }

        return WithFollowers(sequences);
    }

    /// <summary>Checks the bookkeeping of everything owned here.</summary>
    public void AssertInvariants()
    {
        queue.AssertInvariants();
        slots.AssertInvariants();
        prefixes.AssertInvariants();
        if (PositionsInUse + prefixes.PositionCount > limits.Positions)
        {
            throw new InvalidOperationException($"KV positions: {PositionsInUse} in use, {prefixes.PositionCount} kept, capacity {limits.Positions}");
        }

        if (queue.First is { } first && slots.Youngest is { } youngest && first.Order < youngest.Order)
        {
            throw new InvalidOperationException($"sequence {first.Order} waits while {youngest.Order}, which came later, has a slot");
        }
    }

    private static List<Sequence> WithFollowers(IEnumerable<Sequence> sequences)
    {
        var all = sequences.SelectMany(sequence => sequence.TakeFollowers().Prepend(sequence)).ToList();
        foreach (var sequence in all)
        {
            sequence.Release();
        }

        return all;
    }

    // One that is run again has its next tokens already.
    private static void AddRows(List<ScheduledRow> rows, Sequence sequence, int logitsRow)
    {
        if (sequence.Ids.Length > sequence.PromptCount)
        {
            return;
        }

        rows.Add(new ScheduledRow(sequence, logitsRow));
        foreach (var follower in sequence.Followers)
        {
            rows.Add(new ScheduledRow(follower, logitsRow));
        }
    }

    private bool TryAdmit(Sequence sequence, ref int budget, ref PromptBatch batch)
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
            budget -= StepPolicy.PrefillCount(hit.Length, sequence.PromptCount, budget);
        }

        return true;
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

    private void Preempt(Sequence sequence)
    {
        slots.Remove(sequence);
        sequence.Preempt();
        queue.PutBack(sequence);
        PreemptionCount++;
    }

    private void ForkFollowers(Sequence sequence)
    {
        foreach (var follower in sequence.TakeFollowers())
        {
            slots.Fork(sequence, follower);
        }
    }

    private SequenceSlice PlanPrefill(Sequence sequence, SequenceSlice[] prompts)
    {
        var budget = limits.PrefillChunk - (prompts.Length == 0 ? 0 : prompts.Length * prompts.Max(prompt => prompt.Count));
        var count = StepPolicy.PrefillCount(sequence.ComputedCount, sequence.PromptCount, budget);
        var wantsLogits = sequence.ComputedCount + count == sequence.Ids.Length;
        return new SequenceSlice(sequence.Slot, sequence.Ids, sequence.ComputedCount, count, wantsLogits);
    }

    /// <summary>Whole prompts that run in one call.</summary>
    private readonly record struct PromptBatch(int Count, int Longest, int Total)
    {
        public bool Fits(int next, int budget) => StepPolicy.FitsPrompts(Count, Longest, Total, next, budget);

        public PromptBatch With(int next) => new(Count + 1, Math.Max(Longest, next), Total + next);
    }
}

/// <summary>What bounds the scheduler.</summary>
/// <param name="Positions">KV positions over all slots.</param>
/// <param name="PrefillChunk">Positions of prompts in one step, padding included.</param>
internal sealed record SchedulerLimits(long Positions, int PrefillChunk);
