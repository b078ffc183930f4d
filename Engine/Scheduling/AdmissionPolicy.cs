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
