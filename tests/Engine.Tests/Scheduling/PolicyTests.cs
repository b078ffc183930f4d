using Tessera.Engine.Scheduling;

namespace Tessera.Engine.Tests.Scheduling;

public sealed class PolicyTests
{
    [Theory]
    [InlineData(0, 4, false, 0, 100, 100, true)]
    [InlineData(3, 4, false, 60, 100, 40, true)]
    [InlineData(3, 4, false, 60, 100, 41, false)]
    [InlineData(4, 4, false, 0, 100, 1, false)]
    [InlineData(1, 4, true, 0, 100, 1, false)]
    public void CanAdmit_ForState_LooksAtSlotsPrefillAndPositions(int active, int slots, bool isPrefilling, long reserved, long capacity, int worstCase, bool expected) =>
        Assert.Equal(expected, AdmissionPolicy.CanAdmit(new AdmissionState(active, slots, isPrefilling, reserved, capacity), worstCase));

    [Theory]
    [InlineData(0, 10, 4, 4)]
    [InlineData(8, 10, 4, 2)]
    [InlineData(0, 10, 256, 10)]
    public void PrefillCount_OfPrompt_IsAChunkOrTheRest(int computed, int prompt, int chunk, int expected) =>
        Assert.Equal(expected, StepPolicy.PrefillCount(computed, prompt, chunk));
}
