using Tessera.Engine.Caching;

namespace Tessera.Engine.Execution;

/// <summary>Refuses a plan that the cache cannot take, before anything runs: a wrong position would corrupt a sequence without an error.</summary>
internal static class PlanCheck
{
    /// <summary>Checks slots and positions.</summary>
    /// <exception cref="ArgumentException">Names the slice and the numbers.</exception>
    public static void Check(StepPlan plan, KvCache cache, int slotCount)
    {
        if (plan.Decode.Count > slotCount)
            throw new ArgumentException($"{plan.Decode.Count} decode rows for {slotCount} slots", nameof(plan));
        for (var row = 0; row < plan.Decode.Count; row++)
        {
            var slice = plan.Decode[row];
            if (slice.Slot != row || slice.Count != 1)
                throw new ArgumentException($"decode row {row} has slot {slice.Slot} and {slice.Count} positions, expected slot {row} and 1 position", nameof(plan));
            CheckPositions(slice, cache);
        }

        for (var row = 0; row < plan.Prompts.Count; row++)
        {
            var prompt = plan.Prompts[row];
            if (prompt.Slot != plan.Decode.Count + row || prompt.Slot >= slotCount || prompt is not { Start: 0, WantsLogits: true })
            {
                throw new ArgumentException(
                    $"prompt {row} has slot {prompt.Slot} of {slotCount} and starts at {prompt.Start}, expected slot {plan.Decode.Count + row}, start 0 and logits",
                    nameof(plan));
            }

            CheckPositions(prompt, cache);
        }

        if (plan.Prefill is not { } chunk)
            return;
        var first = plan.Decode.Count + plan.Prompts.Count;
        if (chunk.Slot < first || chunk.Slot >= slotCount)
            throw new ArgumentException($"the chunk has slot {chunk.Slot}, expected {first} to {slotCount - 1}", nameof(plan));
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
