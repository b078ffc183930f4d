using Tessera.Engine.Scheduling;

namespace Tessera.Engine;

/// <summary>
/// Places in the queue for requests that are still being read: reserved before the work of reading, given back unless the requests are submitted with them.
/// </summary>
public sealed class QueuePlace : IDisposable
{
    private readonly RequestQueue _queue;
    private int _tokens;
    private int _requests;

    internal QueuePlace(RequestQueue queue, int tokens, int requests = 1)
    {
        _queue = queue;
        _tokens = tokens;
        _requests = requests;
    }

    /// <summary>Gives back what was not used.</summary>
    public void Dispose()
    {
        if (_requests > 0)
        {
            _queue.Unreserve(_tokens, _requests);
            _requests = 0;
        }
    }

    /// <summary>Hands a place on to a request; false when its prompt is longer than reserved for, and does not fit.</summary>
    internal bool TryUse(int promptPositions)
    {
        ObjectDisposedException.ThrowIf(_requests == 0, this);
        // The tokens that a request does not need are there for those after it; the last one gives the rest back.
        var taken = _requests == 1 ? _tokens : Math.Min(_tokens, promptPositions);
        if (!_queue.TryResize(taken, promptPositions))
        {
            return false;
        }

        _tokens -= taken;
        _requests--;
        return true;
    }
}
