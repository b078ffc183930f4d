using Tessera.Engine.Scheduling;

namespace Tessera.Engine.Tests.Scheduling;

public sealed class PolicyTests
{
    [Theory]
    [InlineData(0, 4, 0, 100, 1, 100, true)]
    [InlineData(0, 4, 0, 100, 4, 300, true)]
    [InlineData(3, 4, 60, 100, 1, 40, true)]
    [InlineData(3, 4, 60, 100, 1, 41, false)]
    [InlineData(3, 4, 60, 100, 2, 10, false)]
    [InlineData(4, 4, 0, 100, 1, 1, false)]
    public void CanAdmit_ForState_LooksAtSlotsAndPositions(int active, int slots, long committed, long capacity, int demand, long positions, bool expected) =>
        Assert.Equal(expected, AdmissionPolicy.CanAdmit(new AdmissionState(active, slots, committed, capacity), demand, positions));

    [Theory]
    [InlineData(0, 0, 0, 256, 256, true)]
    [InlineData(0, 0, 0, 257, 256, false)]
    [InlineData(1, 100, 100, 100, 256, true)]
    [InlineData(2, 100, 200, 100, 256, false)]
    [InlineData(1, 100, 100, 60, 256, true)]
    [InlineData(1, 100, 100, 59, 256, false)]
    [InlineData(1, 59, 59, 100, 256, false)]
    public void FitsPrompts_WithinBudget_BoundsThePadding(int count, int longest, int total, int next, int budget, bool expected) =>
        Assert.Equal(expected, StepPolicy.FitsPrompts(count, longest, total, next, budget));

    [Theory]
    [InlineData(0, 10, 4, 4)]
    [InlineData(8, 10, 4, 2)]
    [InlineData(0, 10, 256, 10)]
    [InlineData(0, 10, 9, 8)]
    [InlineData(8, 13, 4, 3)]
    [InlineData(0, 10, 1, 2)]
    [InlineData(0, 10, -5, 2)]
    [InlineData(7, 10, 2, 3)]
    [InlineData(0, 2, 1, 2)]
    public void PrefillCount_OfPrompt_IsAChunkOrTheRestAndNeverLeavesOne(int computed, int prompt, int chunk, int expected) =>
        Assert.Equal(expected, StepPolicy.PrefillCount(computed, prompt, chunk));

    // Milliseconds of the last step with a chunk and of the steps since, and how many those were; who decodes and waits; the share.
    [Theory]
    [InlineData(0, 0, 0, 1, 1, 0.5, true)]
    [InlineData(10, 10, 5, 1, 1, 0.5, true)]
    [InlineData(10, 9, 5, 1, 1, 0.5, false)]
    [InlineData(10, 0, 0, 0, 1, 0.5, true)]
    [InlineData(10, 0, 0, 1, 1, 1, true)]
    [InlineData(10, 29, 9, 3, 1, 0.25, false)]
    [InlineData(10, 30, 9, 3, 1, 0.25, true)]
    [InlineData(10, 30, 9, 4, 1, 0.25, true)]
    [InlineData(10, 29, 9, 2, 2, 0.25, false)]
    [InlineData(10, 30, 9, 1, 1, 0.25, true)]
    [InlineData(10, 29, 9, 1, 1, 0.25, false)]
    [InlineData(9, 2, 2, 1, 3, 0.25, false)]
    [InlineData(9, 3, 3, 1, 3, 0.25, true)]
    [InlineData(10_000, 1, 127, 1, 1, 0.5, false)]
    [InlineData(10_000, 1, 128, 1, 1, 0.5, true)]
    public void MayRunChunk_AfterStepsThatTookTime_KeepsToTheShare(int chunk, int others, int steps, int decoding, int waiting, double share, bool expected)
    {
        var times = new StepTimes(TimeSpan.FromMilliseconds(chunk), TimeSpan.FromMilliseconds(others), steps);

        Assert.Equal(expected, StepPolicy.MayRunChunk(times, decoding, waiting, share));
    }
}
