using System.Collections.Concurrent;

namespace Tessera.Engine.Requests;

/// <summary>
/// Wakes the readers of events. Those of one step are woken by one message to the thread pool, one after the other on the same thread: a thread for each would
/// take the runtime's cores away just when the next step begins. A reader that is slow to give its thread back keeps the others waiting until the next step
/// sends another thread, or the loop goes to sleep and gives each one a thread of its own.
/// </summary>
internal sealed class EventDelivery : IThreadPoolWorkItem
{
    private readonly List<EventQueue> _step = [];
    private readonly ConcurrentQueue<EventQueue> _due = new();

    /// <summary>Has a reader woken with the others of this step. The engine's thread alone.</summary>
    public void Add(EventQueue queue) => _step.Add(queue);

    /// <summary>Has the readers of this step woken, and those of earlier ones that still wait to be. The engine's thread alone.</summary>
    public void Send()
    {
        foreach (var queue in _step)
        {
            _due.Enqueue(queue);
        }

        _step.Clear();
        if (!_due.IsEmpty)
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
    }

    /// <summary>Has each reader that still waits to be woken woken by itself: no step may follow soon. The engine's thread alone.</summary>
    public void SendApart()
    {
        Send();
        while (_due.TryDequeue(out var queue))
        {
            ThreadPool.UnsafeQueueUserWorkItem(queue, preferLocal: false);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        while (_due.TryDequeue(out var queue))
        {
            queue.Wake();
        }
    }
}
