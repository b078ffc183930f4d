using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Targets;

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
            new Phase(0, ReasoningMode.Text, 0, 8), new Phase(0, ReasoningMode.Latent, 0, 8),
            new Phase(1, ReasoningMode.Latent, 8, 8), new Phase(1, ReasoningMode.Text, 8, 8),
            new Phase(2, ReasoningMode.Text, 16, 4), new Phase(2, ReasoningMode.Latent, 16, 4),
        ],
        ComparePlan.Phases(20, 8));
}
