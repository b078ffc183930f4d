using Tessera.LoadTests.Comparison;

namespace Tessera.LoadTests.Tests.Comparison;

public sealed class ComparePlanTests
{
    [Theory]
    [InlineData(300, 1, 8)]
    [InlineData(300, 8, 32)]
    [InlineData(300, 64, 75)]
    [InlineData(20, 8, 8)]
    [InlineData(20, 16, 16)]
    [InlineData(1, 1, 8)]
    public void BlockSize_PromptsAndConcurrency_KeepsAWaveAndFourBlocksWhereItCan(int prompts, int concurrency, int expected) =>
        Assert.Equal(expected, ComparePlan.BlockSize(prompts, concurrency));

    [Fact]
    public void Phases_TwoAndAHalfBlocks_SwapTheOrderEachBlock() => Assert.Equal(
        [
            new Phase(0, 0, 0, 8), new Phase(0, 1, 0, 8),
            new Phase(1, 1, 8, 8), new Phase(1, 0, 8, 8),
            new Phase(2, 0, 16, 4), new Phase(2, 1, 16, 4),
        ],
        ComparePlan.Phases(20, 8));

    [Fact]
    public void Phases_ThreeArms_EachComesFirstInTurn() =>
        Assert.Equal([0, 1, 2, 1, 2, 0, 2, 0, 1, 0, 1, 2], ComparePlan.Phases(32, 8, armCount: 3).Select(phase => phase.Arm));

    [Fact]
    public void BlockSize_OneArm_IsEverything() => Assert.Equal(1000, ComparePlan.BlockSize(1000, 4, armCount: 1));

    [Theory]
    [InlineData(100, 64)]
    [InlineData(1000, 250)]
    public void BlockSize_OpenLoop_IsLongEnoughToShowARate(int prompts, int expected) =>
        Assert.Equal(expected, ComparePlan.BlockSize(prompts, 1024, armCount: 2, isOpen: true));
}
