using Tessera.Engine.Caching;

namespace Tessera.Engine.Tests.Caching;

public sealed class MemoryTakerTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [Fact]
    public void Add_Positions_TakesThoseOfEveryPoolFromTheFirstOn()
    {
        var taken = new List<(int Pool, int Slot, int From, int To)>();
        using var done = new ManualResetEventSlim();
        using (var taker = new MemoryTaker(slotCount: 3, poolCount: 2, Note))
        {
            taker.Add(2, 10, 100);
            Assert.True(done.Wait(Patience));
        }

        Assert.Equal([(0, 2, 10, 74), (1, 2, 10, 74), (0, 2, 74, 100), (1, 2, 74, 100)], taken);

        void Note(int pool, int slot, int from, int to)
        {
            taken.Add((pool, slot, from, to));
            if (taken.Count == 4)
                done.Set();
        }
    }

    [Fact]
    public void GiveBack_WhileASlotIsTaken_EndsThat()
    {
        using var started = new ManualResetEventSlim();
        using var other = new ManualResetEventSlim();
        var taken = 0;
        var givenBack = -1;
        using var taker = new MemoryTaker(slotCount: 2, poolCount: 1, (_, slot, _, _) =>
        {
            if (slot == 1)
            {
                other.Set();
                return;
            }

            taken++;
            started.Set();
            Thread.Sleep(1);
        });

        taker.Add(0, 0, 64 * 1_000_000);
        Assert.True(started.Wait(Patience));
        taker.GiveBack(0, slot => givenBack = slot);
        var before = taken;
        taker.Add(1, 0, 1);

        Assert.True(other.Wait(Patience));
        Assert.Equal((0, before), (givenBack, taken));
        Assert.InRange(before, 1, 999_999);
    }

    [Fact]
    public void Dispose_WhileASlotIsTaken_TakesNoMore()
    {
        using var started = new ManualResetEventSlim();
        var taken = 0;
        var taker = new MemoryTaker(slotCount: 1, poolCount: 1, (_, _, _, _) =>
        {
            taken++;
            started.Set();
            Thread.Sleep(1);
        });
        taker.Add(0, 0, 64 * 1_000_000);
        Assert.True(started.Wait(Patience));

        taker.Dispose();

        var atEnd = taken;
        Thread.Sleep(20);
        Assert.Equal(atEnd, taken);
    }
}
