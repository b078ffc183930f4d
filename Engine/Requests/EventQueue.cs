using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using System.Threading.Tasks.Sources;

namespace Tessera.Engine.Requests;

/// <summary>
/// The events of one request on their way to its one reader. Writing never wakes the reader by itself: whoever writes is told that somebody waits, and has
/// <see cref="Wake"/> called, so that the readers of a whole step are woken together. A reader that is behind takes all there is at one go. Thread-safe;
/// waiting allocates nothing.
/// </summary>
/// <param name="capacity">Most events that can be there at once.</param>
internal sealed class EventQueue(int capacity) : ChannelReader<GenerationEvent>, IValueTaskSource<bool>, IThreadPoolWorkItem
{
    private readonly Lock _lock = new();
    private readonly Queue<GenerationEvent> _events = [];
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ManualResetValueTaskSourceCore<bool> _wait;
    private CancellationTokenRegistration _registration;
    private CancellationToken _token;
    private bool _isCancelled;
    private WaitState _state;
    private bool _isCompleted;

    private enum WaitState
    {
        /// <summary>Nobody waits.</summary>
        Nobody,

        /// <summary>The reader waits, and nobody has promised to wake it.</summary>
        Waiting,

        /// <summary>The reader waits, and somebody will call <see cref="Wake"/>.</summary>
        Promised,
    }

    /// <inheritdoc/>
    public override bool CanCount => true;

    /// <inheritdoc/>
    public override int Count
    {
        get
        {
            lock (_lock)
            {
                return _events.Count;
            }
        }
    }

    /// <inheritdoc/>
    public override Task Completion => _drained.Task;

    /// <summary>Writes an event.</summary>
    /// <param name="item">The event.</param>
    /// <param name="isLast">Whether no more events come.</param>
    /// <returns>Whether the caller must have <see cref="Wake"/> called, soon and once.</returns>
    /// <exception cref="InvalidOperationException">There is no room, or the last event was written.</exception>
    public bool Write(GenerationEvent item, bool isLast = false)
    {
        lock (_lock)
        {
            if (_isCompleted || _events.Count == capacity)
            {
                throw new InvalidOperationException(
                    _isCompleted ? "an event of a request was written after its last one" : $"the events of a request are full at {capacity}");
            }

            _events.Enqueue(item);
            _isCompleted = isLast;
            return PromiseWake();
        }
    }

    /// <summary>Wakes the reader, whose code then runs here until it waits for something else.</summary>
    public void Wake()
    {
        bool isCancelled;
        bool hasMore;
        CancellationToken token;
        lock (_lock)
        {
            if (_state != WaitState.Promised)
            {
                return;
            }

            _state = WaitState.Nobody;
            (isCancelled, hasMore, token) = (_isCancelled, _events.Count > 0 || !_isCompleted, _token);
            _isCancelled = false;
            _registration.Unregister();
            _registration = default;
        }

        if (isCancelled)
        {
            _wait.SetException(new OperationCanceledException(token));
        }
        else
        {
            _wait.SetResult(hasMore);
        }
    }

    /// <inheritdoc/>
    public override bool TryRead([MaybeNullWhen(false)] out GenerationEvent item)
    {
        lock (_lock)
        {
            var isThere = _events.TryDequeue(out item);
            NoteDrained();
            return isThere;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">Somebody waits already: there is one reader.</exception>
    public override ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<bool>(cancellationToken);
        }

        lock (_lock)
        {
            if (_events.Count > 0 || _isCompleted)
            {
                return ValueTask.FromResult(_events.Count > 0);
            }

            if (_state != WaitState.Nobody)
            {
                throw new InvalidOperationException("the events of a request have one reader, and it waits already");
            }

            _wait.Reset();
            _state = WaitState.Waiting;
            _token = cancellationToken;

            // Under the lock, so that it is there for whoever wakes the reader; a token that is cancelled by now comes back here on this thread.
            _registration = cancellationToken.UnsafeRegister(static (queue, token) => ((EventQueue)queue!).Cancel(token), this);
            return new ValueTask<bool>(this, _wait.Version);
        }
    }

    bool IValueTaskSource<bool>.GetResult(short token) => _wait.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    void IThreadPoolWorkItem.Execute() => Wake();

    private bool PromiseWake()
    {
        if (_state != WaitState.Waiting)
        {
            return false;
        }

        _state = WaitState.Promised;
        return true;
    }

    // The reader's code does not run on the thread that cancels.
    private void Cancel(CancellationToken token)
    {
        lock (_lock)
        {
            // A wait that is about to end with events ends with them; a token that was late for its own wait does not end the next one.
            if (token != _token || !PromiseWake())
            {
                return;
            }

            _isCancelled = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    private void NoteDrained()
    {
        if (_isCompleted && _events.Count == 0)
        {
            _drained.TrySetResult();
        }
    }
}
