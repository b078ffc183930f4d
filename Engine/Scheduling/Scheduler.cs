namespace Tessera.Engine.Scheduling;

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
    private readonly Admission _admission = new(queue, slots, prefixes, departures, limits, thinkId);
    private readonly StepPlanner _planner = new(slots, limits.PrefillChunk);
    private readonly PrefillShare _share = new(limits.PrefillShare);
    private bool _runsLongPrompt;
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

    /// <summary>
    /// Gives waiting sequences slots, in their order, as long as the first one can have what it needs and this step has room for its prompt; and decides whether a
    /// long prompt gets on in this step.
    /// </summary>
    /// <returns>The sequences that have a slot for the first time.</returns>
    public IReadOnlyList<Sequence> Admit()
    {
        var waiting = Math.Min(queue.WaitingCount, slots.SlotCount - slots.ActiveCount) + (slots.Prefilling is null ? 0 : 1);
        _runsLongPrompt = _share.MayRunChunk(slots.Decoding.Count, waiting);
        return _admission.Admit(_runsLongPrompt);
    }

    /// <summary>
    /// Plans the next step: one position of every decoding sequence, the whole prompts that were admitted, and, when it is its turn, a chunk of the one that takes
    /// several steps.
    /// </summary>
    public ScheduledStep PlanStep() => _planner.Plan(_runsLongPrompt);

    /// <summary>Notes that a step has run; prompts that are complete join the decoding sequences, and their followers get copies.</summary>
    public void Advance(ScheduledStep step)
    {
        for (var slot = 0; slot < step.Plan.Decode.Count; slot++)
        {
            slots.Decoding[slot].Advance(1);
        }

        for (var i = 0; i < slots.Prompts.Count; i++)
        {
            slots.Prompts[i].Advance(slots.Prompts[i].PromptCount);
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

        for (var row = 0; row < step.Rows.Count; row++)
        {
            ForkFollowers(step.Rows[row].Sequence);
        }
    }

    /// <summary>Notes how long a step took, from its plan to its last event: what the share of long prompts is measured by.</summary>
    public void NoteTime(ScheduledStep step, TimeSpan time) => _share.Note(step.HasLongPrompt, time);

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
}

/// <summary>What bounds the scheduler.</summary>
/// <param name="Positions">KV positions over all slots.</param>
/// <param name="PrefillChunk">Positions of prompts in one step, padding included.</param>
/// <param name="PrefillShare">Part of the time that chunks of long prompts may take while sequences decode, above 0; 1 = all of it.</param>
internal sealed record SchedulerLimits(long Positions, int PrefillChunk, double PrefillShare);
