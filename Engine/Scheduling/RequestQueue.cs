namespace Tessera.Engine.Scheduling;

/// <summary>
/// Sequences that wait for a slot, in the order of arrival; bounded by requests and by prompt tokens. A place is reserved by whoever submits and taken by
/// the engine's thread; reservations are thread-safe, the rest is the engine thread's.
/// </summary>
internal sealed class RequestQueue(int maxRequests, int maxTokens)
{
    private readonly Lock _lock = new();
    private readonly LinkedList<Sequence> _waiting = [];
    private int _maxRequests = maxRequests;
    private int _maxTokens = maxTokens;
    private int _reservedRequests;
    private long _reservedTokens;

    /// <summary>Requests that hold a place.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _reservedRequests;
            }
        }
    }

    /// <summary>Prompt tokens of the requests that hold a place.</summary>
    public long TokenCount
    {
        get
        {
            lock (_lock)
            {
                return _reservedTokens;
            }
        }
    }

    /// <summary>The sequence that waits longest; null when nobody waits.</summary>
    public Sequence? First => _waiting.First?.Value;

    /// <summary>Sequences that wait; those of a request that is on its way to the engine's thread are not among them yet.</summary>
    public int WaitingCount => _waiting.Count;

    /// <summary>Changes the bounds; who has a place keeps it.</summary>
    public void SetBounds(int requests, int tokens)
    {
        lock (_lock)
        {
            (_maxRequests, _maxTokens) = (requests, tokens);
        }
    }

    /// <summary>Reserves places, all or none; false when the queue is full. A prompt above the token bound waits alone.</summary>
    /// <param name="promptPositions">Prompt tokens of all of them together.</param>
    /// <param name="requests">How many places.</param>
    public bool TryReserve(int promptPositions, int requests = 1)
    {
        lock (_lock)
        {
            if (_reservedRequests + requests > _maxRequests || (_reservedRequests > 0 && _reservedTokens + promptPositions > _maxTokens))
            {
                return false;
            }

            _reservedRequests += requests;
            _reservedTokens += promptPositions;
            return true;
        }
    }

    /// <summary>Whether nobody more would be taken, however short the prompt.</summary>
    public bool IsFull
    {
        get
        {
            lock (_lock)
            {
                return _reservedRequests >= _maxRequests || (_reservedRequests > 0 && _reservedTokens >= _maxTokens);
            }
        }
    }

    /// <summary>Changes the tokens of a reserved place; false when there is no room for more.</summary>
    public bool TryResize(int from, int to)
    {
        lock (_lock)
        {
            if (to > from && _reservedRequests > 1 && _reservedTokens - from + to > _maxTokens)
            {
                return false;
            }

            _reservedTokens += to - from;
            return true;
        }
    }

    /// <summary>Gives places back.</summary>
    public void Unreserve(int promptPositions, int requests = 1)
    {
        lock (_lock)
        {
            _reservedRequests -= requests;
            _reservedTokens -= promptPositions;
        }
    }

    /// <summary>Puts a sequence, for which a place was reserved, at the end.</summary>
    public void Add(Sequence sequence) => _waiting.AddLast(sequence);

    /// <summary>
    /// Puts a sequence back that has lost its slot: before all that came after it. It needs no free place: it was let in once, and slots bound how many there are.
    /// </summary>
    public void PutBack(Sequence sequence)
    {
        lock (_lock)
        {
            _reservedRequests++;
            _reservedTokens += sequence.Request.PromptPositions;
        }

        var next = _waiting.First;
        while (next is not null && next.Value.Order < sequence.Order)
        {
            next = next.Next;
        }

        if (next is null)
        {
            _waiting.AddLast(sequence);
        }
        else
        {
            _waiting.AddBefore(next, sequence);
        }
    }

    /// <summary>Takes a sequence out, wherever it stands, and gives its place back.</summary>
    public void Remove(Sequence sequence)
    {
        if (!_waiting.Remove(sequence))
        {
            throw new InvalidOperationException("a sequence that does not wait was taken from the queue");
        }

        Unreserve(sequence.Request.PromptPositions);
    }

    /// <summary>Adds the sequences whose time limit was reached.</summary>
    public void AddPastDeadline(List<Sequence> target)
    {
        foreach (var sequence in _waiting)
        {
            if (sequence.IsPastDeadline)
            {
                target.Add(sequence);
            }
        }
    }

    /// <summary>Checks the bookkeeping.</summary>
    public void AssertInvariants()
    {
        lock (_lock)
        {
            var tokens = _waiting.Sum(sequence => (long)sequence.Request.PromptPositions);
            if (_waiting.Count > _reservedRequests || tokens > _reservedTokens || (_reservedRequests == 0 && _reservedTokens != 0))
            {
                throw new InvalidOperationException(
                    $"queue: {_waiting.Count} sequences with {tokens} tokens wait, but {_reservedRequests} places with {_reservedTokens} tokens are reserved");
            }

            if (_waiting.Any(sequence => sequence.Status != SequenceStatus.Waiting))
            {
                throw new InvalidOperationException("queue: a sequence in it does not wait");
            }

            if (_waiting.Zip(_waiting.Skip(1)).Any(pair => pair.First.Order >= pair.Second.Order))
            {
                throw new InvalidOperationException("queue: not in the order of arrival");
            }
        }
    }
}
