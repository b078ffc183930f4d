using System.Runtime.InteropServices;
using Tessera.Engine.Caching;
using Tessera.Models;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Caching;

public sealed unsafe class KvCacheTests
{
    // 2 heads x 64 positions x 16 elements x 4 bytes = 8 KiB: slots start on page boundaries.
    private static readonly Models.Architecture Small = TinyDecoderWeights.Small();

    [Fact]
    public void BytesPerPosition_IsKeysAndValuesOfAllLayers()
    {
        using var cache = new KvCache(Small, 2);

        Assert.Equal(2 * 2 * 2 * 16 * 4, cache.BytesPerPosition);
    }

    [Fact]
    public void Addresses_OfNeighbouringSlots_AreOneSlotApart()
    {
        using var cache = new KvCache(Small, 3);

        Assert.Equal(2 * 64 * 16 * 4, cache.Keys(1, 2) - cache.Keys(1, 1));
        Assert.Equal(2 * 64 * 16 * 4, cache.Values(0, 1) - cache.Values(0, 0));
        Assert.Equal(4, new[] { cache.Keys(0, 0), cache.Values(0, 0), cache.Keys(1, 0), cache.Values(1, 0) }.Distinct().Count());
    }

    [Fact]
    public void Memory_Fresh_IsZero()
    {
        using var cache = new KvCache(Small, 2);

        Assert.True(Slot(cache.Keys(0, 1)).IndexOfAnyExcept(0f) < 0);
    }

    [Fact]
    public void Move_CopiesOnlyThePositionsOfEveryHead()
    {
        using var cache = new KvCache(Small, 3);
        Fill(cache, 2, 1f);
        Fill(cache, 0, -1f);
        cache.SetPositionCount(2, 10);

        cache.Move(2, 0, 10);

        Assert.Equal(10, cache.PositionCount(0));
        Assert.Equal(10, cache.PositionCount(2));
        foreach (var (source, target) in Pools(cache, 2).Zip(Pools(cache, 0)))
        {
            for (var head = 0; head < 2; head++)
            {
                Assert.Equal(Slot(source).Slice(head * 1024, 160).ToArray(), Slot(target).Slice(head * 1024, 160).ToArray());
                Assert.True(Slot(target).Slice((head * 1024) + 160, 1024 - 160).IndexOfAnyExceptInRange(float.MinValue, -1f) < 0);
            }
        }
    }

    [Fact]
    public void Move_OntoItself_CutsTheCount()
    {
        using var cache = new KvCache(Small, 1);
        cache.SetPositionCount(0, 10);

        cache.Move(0, 0, 4);

        Assert.Equal(4, cache.PositionCount(0));
    }

    [Fact]
    public void Move_MorePositionsThanThereAre_NamesBothNumbers()
    {
        using var cache = new KvCache(Small, 2);
        cache.SetPositionCount(1, 3);

        var error = Assert.Throws<ArgumentOutOfRangeException>(() => cache.Move(1, 0, 4));

        Assert.Contains("slot 1 holds 3 positions", error.Message);
        Assert.Equal(0, cache.PositionCount(0));
    }

    [Fact]
    public void Release_Slot_ForgetsItAndLeavesItsNeighbours()
    {
        using var cache = new KvCache(Small, 3);
        for (var slot = 0; slot < 3; slot++)
        {
            Fill(cache, slot, slot + 1);
            cache.SetPositionCount(slot, 64);
        }

        cache.Release(1);

        Assert.Equal([64, 0, 64], Enumerable.Range(0, 3).Select(cache.PositionCount));
        foreach (var (before, after) in Pools(cache, 0).Zip(Pools(cache, 2)))
        {
            Assert.Equal(1f, Slot(before)[^1]);
            Assert.Equal(3f, Slot(after)[0]);
        }
    }

    [Fact]
    public void Release_SlotsThatShareAPage_LeavesTheNeighboursElements()
    {
        // 2 heads x 50 positions x 16 elements x 4 bytes = 6,400 bytes: slots start inside pages.
        using var cache = new KvCache(Small with { MaxPositions = 50 }, 3);
        foreach (var slot in new[] { 0, 1, 2 })
        {
            new Span<float>((void*)cache.Keys(0, slot), 1600).Fill(slot + 1);
            cache.SetPositionCount(slot, 50);
        }

        cache.Release(1);

        Assert.True(new Span<float>((void*)cache.Keys(0, 0), 1600).IndexOfAnyExcept(1f) < 0);
        Assert.True(new Span<float>((void*)cache.Keys(0, 2), 1600).IndexOfAnyExcept(3f) < 0);
    }

    [Fact]
    public void Release_FilledSlot_GivesItsMemoryBack()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "memory is given back on Linux only");

        // One slot of one pool: 2 heads x 65,536 positions x 16 elements x 4 bytes = 8 MiB.
        using var cache = new KvCache(Small with { MaxPositions = 65_536, LayerCount = 1 }, 4);
        Assert.Equal(0, ResidentKiB(cache));
        new Span<float>((void*)cache.Keys(0, 2), 2 * 65_536 * 16).Fill(1f);
        cache.SetPositionCount(2, 65_536);
        Assert.Equal(8192, ResidentKiB(cache));

        cache.Release(2);

        Assert.Equal(0, ResidentKiB(cache));
        Assert.Equal(0f, Slot(cache.Keys(0, 2))[0]);
    }

    [Fact]
    public void Release_WithinTheSpareLimit_KeepsItsMemory()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "memory is given back on Linux only");

        // 4,096 positions x 256 bytes: one slot is as much as may stay.
        using var cache = new KvCache(Small with { MaxPositions = 65_536, LayerCount = 1 }, 4, maxSpareBytes: 4096 * 256);
        Write(cache, 1, 4096);

        cache.Release(1);

        Assert.Equal(512, ResidentKiB(cache));
        Assert.Equal(4096 * 256, cache.SpareBytes);
        cache.SetPositionCount(1, 4096);
        Assert.Equal(0, cache.SpareBytes);
    }

    [Fact]
    public void Release_BeyondTheSpareLimit_GivesBackTheHighestFreeSlotsFirst()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "memory is given back on Linux only");
        using var cache = new KvCache(Small with { MaxPositions = 65_536, LayerCount = 1 }, 4, maxSpareBytes: 4096 * 256);
        for (var slot = 0; slot < 4; slot++)
            Write(cache, slot, 4096);

        cache.Release(2);
        Assert.Equal(1f, Slot(cache.Keys(0, 2))[0]);
        cache.Release(0);

        Assert.Equal(0f, Slot(cache.Keys(0, 2))[0]);
        Assert.Equal([1f, 1f, 1f], new[] { 0, 1, 3 }.Select(slot => Slot(cache.Keys(0, slot))[0]));
        Assert.Equal(4096 * 256, cache.SpareBytes);
        cache.AssertInvariants();
    }

    [Fact]
    public void Expect_WithinTheSpareLimit_TakesMemoryBesideTheCallerAndKeepsWhatIsWritten()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "memory is taken ahead on Linux only");
        using var cache = new KvCache(Small with { MaxPositions = 65_536, LayerCount = 1 }, 4, maxSpareBytes: 4096 * 256);
        Write(cache, 1, 100);

        cache.Expect(1, 3000);

        Assert.Equal(2900 * 256, cache.SpareBytes);
        Assert.True(SpinWait.SpinUntil(() => ResidentKiB(cache) >= 2 * 3000 * 64 / 1024, TimeSpan.FromSeconds(10)) || !HasPopulate(), $"{ResidentKiB(cache)} KiB are there");
        Assert.Equal(1f, Slot(cache.Keys(0, 1))[(100 * 16) - 1]);
        cache.AssertInvariants();
    }

    [Fact]
    public void Expect_BeyondTheSpareLimit_TakesOnlyWhatMayStay()
    {
        using var cache = new KvCache(Small, 2, maxSpareBytes: 20 * 512);

        cache.Expect(0, 15);
        cache.Expect(1, 15);

        Assert.Equal(20 * 512, cache.SpareBytes);
        cache.Release(0);
        cache.SetPositionCount(0, 64);
        cache.Release(0);
        Assert.InRange(cache.SpareBytes, 0, 20 * 512);
    }

    [Fact]
    public void Memory_OfFewPositions_IsFewPages()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "memory follows positions on Linux only");
        using var cache = new KvCache(Small with { MaxPositions = 65_536, LayerCount = 1 }, 4);

        new Span<float>((void*)cache.Keys(0, 1), 16).Fill(1f);

        Assert.Equal(4, ResidentKiB(cache));
    }

    [Fact]
    public void Reserve_FarMoreThanMemory_TakesNone()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "address space is reserved on Linux only");

        // 64 slots x 8 heads x 131,072 positions x 128 elements x 4 bytes = 32 GiB per pool.
        using var cache = new KvCache(Small with { LayerCount = 1, KvHeadCount = 8, MaxPositions = 131_072, HeadDim = 128 }, 64);

        Assert.Equal(0, ResidentKiB(cache));
        Slot(cache.Values(0, 63))[0] = 1f;
        Assert.Equal(1f, Slot(cache.Values(0, 63))[0]);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(2)]
    public void Slot_OutOfRange_IsRefused(int slot)
    {
        using var cache = new KvCache(Small, 2);

        var error = Assert.Throws<ArgumentOutOfRangeException>(() => cache.Keys(0, slot));

        Assert.Contains("there are slots 0 to 1", error.Message);
    }

    [Fact]
    public void SetPositionCount_MoreThanTheSlotHas_IsRefused()
    {
        using var cache = new KvCache(Small, 1);

        var error = Assert.Throws<ArgumentOutOfRangeException>(() => cache.SetPositionCount(0, 65));

        Assert.Contains("a slot has 0 to 64 positions", error.Message);
    }

    [Fact]
    public void AssertInvariants_AfterUse_Holds()
    {
        using var cache = new KvCache(Small, 2);
        cache.SetPositionCount(1, 64);
        cache.Move(1, 0, 30);
        cache.Release(1);

        cache.AssertInvariants();
    }

    [Fact]
    public void Keys_Disposed_IsRefused()
    {
        var cache = new KvCache(Small, 1);
        cache.Dispose();

        Assert.Throws<ObjectDisposedException>(() => cache.Keys(0, 0));
        Assert.Throws<InvalidOperationException>(cache.AssertInvariants);
    }

    // Linux from 5.14 on.
    private static bool HasPopulate() => Environment.OSVersion.Version >= new Version(5, 14);

    // Writes keys alone: 128 of a position's 256 bytes.
    private static void Write(KvCache cache, int slot, int positions)
    {
        for (var head = 0; head < cache.KvHeadCount; head++)
            new Span<float>((float*)cache.Keys(0, slot) + ((nint)head * cache.MaxPositions * 16), positions * 16).Fill(1f);
        cache.SetPositionCount(slot, positions);
    }

    private static IEnumerable<nint> Pools(KvCache cache, int slot) =>
        Enumerable.Range(0, cache.LayerCount).SelectMany(layer => new[] { cache.Keys(layer, slot), cache.Values(layer, slot) });

    private static Span<float> Slot(nint address) => new((void*)address, 2 * 64 * 16);

    private static void Fill(KvCache cache, int slot, float value)
    {
        foreach (var pool in Pools(cache, slot))
            Slot(pool).Fill(value);
    }

    /// <summary>Resident size of a cache's keys of layer 0, all slots. Other mappings may lie right beside it.</summary>
    internal static long ResidentKiB(KvCache cache)
    {
        const int chunk = 1 << 30;
        var left = sizeof(float) * (long)cache.SlotCount * cache.KvHeadCount * cache.MaxPositions * cache.HeadDim;
        var pages = new byte[chunk / Environment.SystemPageSize];
        var resident = 0L;
        for (var address = cache.Keys(0, 0); left > 0; address += chunk, left -= chunk)
        {
            var length = (nuint)Math.Min(chunk, left);
            Assert.Equal(0, Mincore(address, length, pages));
            resident += pages.AsSpan(0, (int)((length + (nuint)Environment.SystemPageSize - 1) / (nuint)Environment.SystemPageSize)).ToArray().Count(page => (page & 1) != 0);
        }

        return resident * Environment.SystemPageSize / 1024;
    }

    [DllImport("libc", EntryPoint = "mincore", SetLastError = true)]
    private static extern int Mincore(nint address, nuint length, byte[] pages);
}
