namespace Tessera.Engine.Scheduling;

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

    /// <summary>Whether a prompt is too long for one step.</summary>
    /// <param name="positions">Its positions.</param>
    /// <param name="copied">Those that are copied.</param>
    /// <param name="chunk">Prompt positions of one step.</param>
    public static bool IsLong(int positions, int copied, int chunk) => positions - copied > chunk;

    /// <summary>
    /// Steps after which the next chunk of a long prompt runs, whatever the clock says. 128: beyond what the default share asks for with any model that was measured
    /// (a chunk of the shipped one takes as long as 60 steps), and a few seconds of a model with a billion weights.
    /// </summary>
    public const int MaxStepsWithoutChunk = 128;

    /// <summary>
    /// Whether the next chunk of a long prompt may run in the next step. While sequences decode, it gets its share of the time or, when more wait for their prompts,
    /// as large a part as those are of all that want time: slots that stay empty cost more than a pause does.
    /// </summary>
    /// <param name="times">What steps took lately.</param>
    /// <param name="decodingCount">Sequences that decode.</param>
    /// <param name="waitingCount">Sequences that wait for their prompts and have a slot, or could have one.</param>
    /// <param name="share">Least part of the time for long prompts, above 0; 1 = all of it.</param>
    public static bool MayRunChunk(StepTimes times, int decodingCount, int waitingCount, double share)
    {
        if (decodingCount == 0 || times.OtherSteps >= MaxStepsWithoutChunk)
        {
            return true;
        }

        var part = waitingCount > decodingCount ? Math.Max(share, waitingCount / (double)(waitingCount + decodingCount)) : share;
        return times.Others.Ticks * part >= times.Chunk.Ticks * (1 - part);
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
