using Tessera.Engine.Caching;

namespace Tessera.Engine.Execution;

/// <summary>Refuses a plan that the cache cannot take, before anything runs: a wrong position would corrupt a sequence without an error.</summary>
internal static class PlanCheck
{
    /// <summary>Checks slots and positions.</summary>
    /// <exception cref="ArgumentException">Names the slice and the numbers.</exception>
    public static void Check(StepPlan plan, KvCache cache)
    {
        if (plan.Decode.Count > cache.SlotCount)
            throw new ArgumentException($"{plan.Decode.Count} decode rows for {cache.SlotCount} slots", nameof(plan));
        for (var row = 0; row < plan.Decode.Count; row++)
        {
            var slice = plan.Decode[row];
            if (slice.Slot != row || slice.Count != 1)
                throw new ArgumentException($"decode row {row} has slot {slice.Slot} and {slice.Count} positions, expected slot {row} and 1 position", nameof(plan));
            CheckPositions(slice, cache);
        }

        if (plan.Prefill is not { } chunk)
            return;
        if (chunk.Slot < plan.Decode.Count || chunk.Slot >= cache.SlotCount)
            throw new ArgumentException($"the chunk has slot {chunk.Slot}, expected {plan.Decode.Count} to {cache.SlotCount - 1}", nameof(plan));
        CheckPositions(chunk, cache);
    }

    private static void CheckPositions(SequenceSlice slice, KvCache cache)
    {
        if (slice.Start < 0 || slice.Count < 1 || slice.Start > cache.MaxPositions - slice.Count || slice.Start > slice.Ids.Length - slice.Count)
        {
            throw new ArgumentException(
                $"slot {slice.Slot}: positions {slice.Start}+{slice.Count} of {slice.Ids.Length} ids, with room for {cache.MaxPositions}", nameof(slice));
        }

        if (slice.Start > cache.PositionCount(slice.Slot))
            throw new ArgumentException($"slot {slice.Slot} holds {cache.PositionCount(slice.Slot)} positions, the slice starts at {slice.Start}", nameof(slice));
    }
}
