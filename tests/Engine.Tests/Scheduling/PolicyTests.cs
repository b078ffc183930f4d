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
}
