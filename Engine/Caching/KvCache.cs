using Tessera.Models;

namespace Tessera.Engine.Caching;

/// <summary>
/// Keys and values of all sequences: per layer one pool for keys and one for values, <c>[slot, kvHead, position, headDim]</c>, the last axis fastest.
/// In main memory, memory follows the positions that were written, and free slots keep some of it for those that come next; on a device it is taken as a whole.
/// Owned by the engine's one thread.
/// </summary>
public sealed class KvCache : IDisposable
{
    private readonly IKvPool[] _pools;
    private readonly int[] _positionCounts;

    // Per slot: positions that have memory.
    private readonly int[] _backedCounts;
    private readonly long _maxSpareBytes;
    private readonly MemoryTaker? _taker;
    private readonly nuint _slotBytes;
    private readonly nuint _headBytes;
    private readonly nuint _positionBytes;

    /// <summary>Reserves the address space of every slot.</summary>
    /// <param name="architecture">Layers, key-value heads, elements per head, positions.</param>
    /// <param name="slotCount">Slots.</param>
    /// <param name="elementBytes">Bytes of one element: 4 (f32), 2 (f16) or 1 (int8).</param>
    /// <param name="maxSpareBytes">Most memory beyond the positions in use that stays for those that come next.</param>
    /// <exception cref="InsufficientMemoryException">The address space cannot be had.</exception>
    public KvCache(Architecture architecture, int slotCount, int elementBytes = sizeof(float), long maxSpareBytes = 0)
        : this(architecture, slotCount, elementBytes, maxSpareBytes, KvMemory.Reserve)
    {
    }

    /// <summary>The same in memory of another kind.</summary>
    internal KvCache(Architecture architecture, int slotCount, int elementBytes, long maxSpareBytes, Func<nuint, IKvPool> reserve)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(elementBytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slotCount);
        SlotCount = slotCount;
        LayerCount = architecture.LayerCount;
        KvHeadCount = architecture.KvHeadCount;
        HeadDim = architecture.HeadDim;
        MaxPositions = architecture.MaxPositions;
        _positionCounts = new int[slotCount];
        _backedCounts = new int[slotCount];
        _maxSpareBytes = maxSpareBytes;
        _positionBytes = (nuint)(HeadDim * elementBytes);
        ElementBytes = elementBytes;
        _headBytes = checked(_positionBytes * (nuint)MaxPositions);
        _slotBytes = checked(_headBytes * (nuint)KvHeadCount);
        _pools = new IKvPool[2 * LayerCount];
        try
        {
            for (var i = 0; i < _pools.Length; i++)
                _pools[i] = reserve(checked(_slotBytes * (nuint)slotCount));
        }
        catch
        {
            Dispose();
            throw;
        }

        if (maxSpareBytes > 0)
            _taker = new MemoryTaker(slotCount, _pools.Length, Take);
    }

    /// <summary>Slots.</summary>
    public int SlotCount { get; }

    /// <summary>Layers.</summary>
    public int LayerCount { get; }

    /// <summary>Key and value heads per layer.</summary>
    public int KvHeadCount { get; }

    /// <summary>Elements per head.</summary>
    public int HeadDim { get; }

    /// <summary>Positions per slot.</summary>
    public int MaxPositions { get; }

    /// <summary>Bytes of one element.</summary>
    public int ElementBytes { get; }

    /// <summary>Bytes of keys and values of one position over all layers.</summary>
    public long BytesPerPosition => 2L * LayerCount * KvHeadCount * HeadDim * ElementBytes;

    /// <summary>Bytes of positions that nobody uses and whose memory stays for those that come next.</summary>
    public long SpareBytes
    {
        get
        {
            var positions = 0L;
            for (var slot = 0; slot < SlotCount; slot++)
                positions += _backedCounts[slot] - _positionCounts[slot];
            return positions * BytesPerPosition;
        }
    }

    /// <summary>Address of a layer's keys from a slot on.</summary>
    public nint Keys(int layer, int slot) => AddressOf(2 * layer, slot);

    /// <summary>Address of a layer's values from a slot on.</summary>
    public nint Values(int layer, int slot) => AddressOf((2 * layer) + 1, slot);

    /// <summary>Positions of a slot that hold keys and values.</summary>
    public int PositionCount(int slot) => _positionCounts[Checked(slot)];

    /// <summary>Says that a slot's first positions hold keys and values now; fewer than before forgets the rest.</summary>
    public void SetPositionCount(int slot, int positionCount)
    {
        if (positionCount < 0 || positionCount > MaxPositions)
            throw new ArgumentOutOfRangeException(nameof(positionCount), positionCount, $"a slot has 0 to {MaxPositions} positions");
        _positionCounts[Checked(slot)] = positionCount;
        _backedCounts[slot] = Math.Max(_backedCounts[slot], positionCount);
    }

    /// <summary>
    /// Says that a slot will soon hold so many positions: memory for them is taken beside the engine's thread, as far as it may stay when nobody uses it.
    /// </summary>
    public void Expect(int slot, int positionCount)
    {
        var backed = _backedCounts[Checked(slot)];
        var room = (_maxSpareBytes - SpareBytes) / BytesPerPosition;
        var to = (int)Math.Min(Math.Min(positionCount, MaxPositions), backed + room);
        if (to <= backed || _taker is null)
            return;
        _backedCounts[slot] = to;
        _taker.Add(slot, backed, to);
    }

    /// <summary>Copies the first positions of a slot over another slot, which then has exactly these; the source stays as it is.</summary>
    public void Move(int from, int to, int positionCount)
    {
        if (positionCount < 0 || positionCount > PositionCount(from))
            throw new ArgumentOutOfRangeException(nameof(positionCount), positionCount, $"slot {from} holds {PositionCount(from)} positions");
        SetPositionCount(to, positionCount);
        if (from == to || positionCount == 0)
            return;

        foreach (var pool in _pools)
            pool.CopyRows(OffsetOf(from), OffsetOf(to), (nuint)positionCount * _positionBytes, _headBytes, KvHeadCount);
    }

    /// <summary>
    /// Forgets a slot's positions. Its memory stays for the next sequence while all that nobody uses is within the limit; else slots that are free give theirs back to
    /// the system, but for pages that a neighbouring slot shares.
    /// </summary>
    public void Release(int slot)
    {
        if (PositionCount(slot) == 0)
            return;
        _positionCounts[slot] = 0;

        // The highest slots first: sequences take the lowest that are free.
        var excess = SpareBytes - _maxSpareBytes;
        for (var free = SlotCount - 1; free >= 0 && excess > 0; free--)
        {
            if (_positionCounts[free] > 0 || _backedCounts[free] == 0)
                continue;
            excess -= _backedCounts[free] * BytesPerPosition;
            GiveBack(free);
        }
    }

    /// <summary>Checks what must always hold.</summary>
    /// <exception cref="InvalidOperationException">Names the numbers that disagree.</exception>
    public void AssertInvariants()
    {
        for (var slot = 0; slot < SlotCount; slot++)
        {
            if (_positionCounts[slot] < 0 || _positionCounts[slot] > MaxPositions)
                throw new InvalidOperationException($"slot {slot} holds {_positionCounts[slot]} positions, outside of 0 to {MaxPositions}");
            if (_backedCounts[slot] < _positionCounts[slot])
                throw new InvalidOperationException($"slot {slot} holds {_positionCounts[slot]} positions, but has memory of {_backedCounts[slot]}");
        }

        foreach (var pool in _pools)
        {
            if (pool.IsClosed || pool.ByteCount != _slotBytes * (nuint)SlotCount)
                throw new InvalidOperationException($"a pool has {pool.ByteCount} bytes (closed: {pool.IsClosed}), expected {_slotBytes * (nuint)SlotCount}");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _taker?.Dispose();
        foreach (var pool in _pools)
            pool?.Dispose();
    }

    private void GiveBack(int slot)
    {
        _backedCounts[slot] = 0;
        if (_taker is not null)
            _taker.GiveBack(slot, GiveBackPages);
        else
            GiveBackPages(slot);
    }

    private void GiveBackPages(int slot)
    {
        foreach (var pool in _pools)
            pool.GiveBack(OffsetOf(slot), _slotBytes);
    }

    private void Take(int pool, int slot, int from, int to) =>
        _pools[pool].TakeRows(OffsetOf(slot) + ((nuint)from * _positionBytes), (nuint)(to - from) * _positionBytes, _headBytes, KvHeadCount);

    private nint AddressOf(int pool, int slot) => _pools[pool].Address + (nint)OffsetOf(slot);

    private nuint OffsetOf(int slot) => (nuint)Checked(slot) * _slotBytes;

    private int Checked(int slot) =>
        (uint)slot < (uint)SlotCount ? slot : throw new ArgumentOutOfRangeException(nameof(slot), slot, $"there are slots 0 to {SlotCount - 1}");
}
