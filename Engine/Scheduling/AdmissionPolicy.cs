namespace Tessera.Engine.Scheduling;

/// <summary>What admission looks at: plain numbers.</summary>
/// <param name="ActiveCount">Slots that are taken or promised.</param>
/// <param name="SlotCount">Slots.</param>
/// <param name="CommittedPositions">KV positions that sequences with a slot need for what they have, and expect to need soon.</param>
/// <param name="PositionCapacity">KV positions over all slots.</param>
internal readonly record struct AdmissionState(int ActiveCount, int SlotCount, long CommittedPositions, long PositionCapacity);

/// <summary>Decides whether the first waiting sequence gets a slot. Strictly first come, first served: nobody overtakes, so nobody starves.</summary>
internal static class AdmissionPolicy
{
    /// <summary>
    /// Positions that a sequence is expected to need soon beyond those it has: it is admitted only when they are free, so that one that was preempted makes
    /// some progress before it can be preempted again. What it may need after that is not reserved: most sequences end long before their limit.
    /// </summary>
    public const int Headroom = 32;

    /// <summary>Whether a sequence gets slots and positions now. Alone it always does: its worst case was checked against the capacity.</summary>
    /// <param name="state">What is taken.</param>
    /// <param name="slots">Slots that it needs: one for each response of its request.</param>
    /// <param name="positions">Positions that it needs for what it has, and soon.</param>
    public static bool CanAdmit(AdmissionState state, int slots, long positions) =>
        state.ActiveCount == 0
        || (state.ActiveCount + slots <= state.SlotCount && state.CommittedPositions + positions <= state.PositionCapacity);
}

/// <summary>Decides how much of the prompts one step runs.</summary>
internal static class StepPolicy
{
    /// <summary>
    /// Positions of the next prefill chunk: never one alone, because the runtime computes a single position with another kernel, whose last bits differ; so how a
    /// prompt falls into chunks cannot change a token.
    /// </summary>
    /// <param name="computed">Positions already in the slot.</param>
    /// <param name="total">Positions of the prompt; at least two are left.</param>
    /// <param name="budget">Positions of this step; one or two more where nothing else leaves two.</param>
    public static int PrefillCount(int computed, int total, int budget)
    {
        var left = total - computed;
        var count = Math.Min(Math.Max(budget, 2), left);
        return left - count != 1 ? count : count > 2 ? count - 1 : left;
    }

    /// <summary>Whether another whole prompt may run in the same call: padded to the longest, within the budget, at most a quarter of the work being padding.</summary>
    /// <param name="count">Prompts that the call has.</param>
    /// <param name="longest">Positions of its longest.</param>
    /// <param name="total">Positions of all of them.</param>
    /// <param name="next">Positions of the prompt that asks.</param>
    /// <param name="budget">Most positions of the call, padding included.</param>
    public static bool FitsPrompts(int count, int longest, int total, int next, int budget)
    {
        long padded = (count + 1L) * Math.Max(longest, next);
        return padded <= budget && 4 * padded <= 5L * (total + next);
    }
}
