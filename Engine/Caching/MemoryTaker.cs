using System.Collections.Concurrent;

namespace Tessera.Engine.Caching;

/// <summary>Takes memory of slots from the system beside the engine's thread, before it is written: a page that is missing costs more than what is written on it.</summary>
internal sealed class MemoryTaker : IDisposable
{
    // Positions of one layer's heads that are taken at a time: what somebody waits for who gives memory back meanwhile.
    private const int Block = 64;

    private readonly BlockingCollection<(int Slot, int Generation, int From, int To)> _wanted = [];
    private readonly Action<int, int, int, int> _take;
    private readonly int[] _generations;
    private readonly int _poolCount;
    private readonly Lock _lock = new();
    private readonly Thread _thread;
    private bool _isDisposed;
    private int _giverCount;

    /// <summary>Starts the thread.</summary>
    /// <param name="slotCount">Slots.</param>
    /// <param name="poolCount">Pools that every slot has a part of.</param>
    /// <param name="take">Takes the memory of positions: pool, slot, first position, end.</param>
    public MemoryTaker(int slotCount, int poolCount, Action<int, int, int, int> take)
    {
        _generations = new int[slotCount];
        _poolCount = poolCount;
        _take = take;
        _thread = new Thread(Loop) { IsBackground = true, Name = "tessera memory" };
        _thread.Start();
    }

    /// <summary>Has memory of positions taken soon.</summary>
    public void Add(int slot, int from, int to) => _wanted.Add((slot, _generations[slot], from, to));

    /// <summary>Gives a slot's memory back: what was wanted of it before is not taken any more.</summary>
    public void GiveBack(int slot, Action<int> giveBack)
    {
        Interlocked.Increment(ref _giverCount);
        lock (_lock)
        {
            _generations[slot]++;
            giveBack(slot);
        }

        Interlocked.Decrement(ref _giverCount);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
            _isDisposed = true;
        _wanted.CompleteAdding();
        _thread.Join();
        _wanted.Dispose();
    }

    // By positions and not by layers: a prompt's first chunk is soon there.
    private void Loop()
    {
        foreach (var (slot, generation, from, to) in _wanted.GetConsumingEnumerable())
        {
            for (var position = from; position < to; position += Block)
            {
                for (var pool = 0; pool < _poolCount; pool++)
                {
                    // A lock is not fair: who gives back would wait for more than this block.
                    while (Volatile.Read(ref _giverCount) > 0)
                        Thread.Yield();
                    lock (_lock)
                    {
                        if (_isDisposed)
                            return;
                        if (_generations[slot] == generation)
                            _take(pool, slot, position, Math.Min(position + Block, to));
                    }
                }
            }
        }
    }
}
