using Tessera.Engine.Scheduling;

namespace Tessera.Engine;

/// <summary>A place in the queue for a request that is still being read: reserved before the work of reading, given back unless the request is submitted with it.</summary>
public sealed class QueuePlace : IDisposable
{
    private readonly RequestQueue _queue;
    private readonly int _tokens;
    private bool _isGone;

    internal QueuePlace(RequestQueue queue, int tokens)
    {
        _queue = queue;
        _tokens = tokens;
    }

    /// <summary>Gives the place back, unless it was used.</summary>
    public void Dispose()
    {
        if (!_isGone)
        {
            _isGone = true;
            _queue.Unreserve(_tokens);
        }
    }

    /// <summary>Hands the place on to a request; false when its prompt is longer than reserved for, and does not fit.</summary>
    internal bool TryUse(int promptPositions)
    {
        ObjectDisposedException.ThrowIf(_isGone, this);
        _isGone = _queue.TryResize(_tokens, promptPositions);
        return _isGone;
    }
}
