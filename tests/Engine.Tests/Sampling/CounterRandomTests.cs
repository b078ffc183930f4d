using Tessera.Engine.Sampling;

namespace Tessera.Engine.Tests.Sampling;

public sealed class CounterRandomTests
{
    [Fact]
    public void NextUnit_OverCounters_IsUniformInTheUnitInterval()
    {
        var buckets = new int[10];
        for (var counter = 0UL; counter < 20_000; counter++)
        {
            buckets[(int)(CounterRandom.NextUnit(42, counter) * 10)]++;
        }

        // 2,000 expected, standard deviation 42.
        Assert.All(buckets, count => Assert.InRange(count, 1_780, 2_220));
    }

    [Fact]
    public void Bits_OfNeighbouringSeedsAndCounters_AllDiffer()
    {
        var seen = new HashSet<ulong>();
        for (var seed = 0UL; seed < 100; seed++)
        {
            for (var counter = 0UL; counter < 100; counter++)
            {
                Assert.True(seen.Add(CounterRandom.Bits(seed, counter)));
            }
        }
    }

    [Fact]
    public void Bits_OfSameArguments_AreTheSame() => Assert.Equal(CounterRandom.Bits(3, 9), CounterRandom.Bits(3, 9));
}
