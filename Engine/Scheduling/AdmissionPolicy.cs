namespace Tessera.Engine.Scheduling;

/// <summary>What admission looks at: plain numbers.</summary>
/// <param name="ActiveCount">Sequences with a slot.</param>
/// <param name="SlotCount">Slots.</param>
/// <param name="IsPrefilling">Whether a sequence is being prefilled.</param>
/// <param name="ReservedPositions">KV positions that sequences with a slot may come to take.</param>
/// <param name="PositionCapacity">KV positions over all slots.</param>
internal readonly record struct AdmissionState(int ActiveCount, int SlotCount, bool IsPrefilling, long ReservedPositions, long PositionCapacity);

/// <summary>Decides whether the first waiting sequence gets a slot. Strictly first come, first served: nobody overtakes, so nobody starves.</summary>
internal static class AdmissionPolicy
{
    /// <summary>Whether a sequence that may come to take <paramref name="worstCasePositions"/> can be admitted now. What is admitted can never run out of positions.</summary>
    public static bool CanAdmit(AdmissionState state, int worstCasePositions) =>
        !state.IsPrefilling
        && state.ActiveCount < state.SlotCount
        && state.ReservedPositions + worstCasePositions <= state.PositionCapacity;
}

/// <summary>Decides how much of a prompt one step runs.</summary>
internal static class StepPolicy
{
    /// <summary>Positions of the next prefill chunk.</summary>
    /// <param name="computed">Positions already in the slot.</param>
    /// <param name="promptPositions">Positions of the whole prompt.</param>
    /// <param name="chunk">Most positions of one chunk.</param>
    public static int PrefillCount(int computed, int promptPositions, int chunk) => Math.Min(chunk, promptPositions - computed);
}
