namespace Tessera.Engine.Sampling;

/// <summary>A token that may be drawn.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Weight">What it is ranked by: a probability, not normalised, or a logit.</param>
internal readonly record struct Candidate(int Id, float Weight)
{
    /// <summary>Whether this one comes first: higher weight, then lower id.</summary>
    public bool IsBefore(Candidate other) => Weight > other.Weight || (Weight == other.Weight && Id < other.Id);
}

/// <summary>Gives candidates best first: O(n) to fill, O(log n) for each one taken, no full sort.</summary>
internal sealed class CandidateHeap(int capacity)
{
    private readonly Candidate[] _items = new Candidate[capacity];
    private int _count;

    /// <summary>Candidates that were not taken.</summary>
    public int Count => _count;

    /// <summary>Forgets all candidates.</summary>
    public void Clear() => _count = 0;

    /// <summary>Adds a candidate; <see cref="Order"/> must follow before the first is taken.</summary>
    public void Add(Candidate candidate) => _items[_count++] = candidate;

    /// <summary>Orders what was added.</summary>
    public void Order()
    {
        for (var i = (_count / 2) - 1; i >= 0; i--)
        {
            SiftDown(i);
        }
    }

    /// <summary>Takes the best candidate; false when there is none left.</summary>
    public bool TryPop(out Candidate best)
    {
        best = default;
        if (_count == 0)
        {
            return false;
        }

        best = _items[0];
        _items[0] = _items[--_count];
        SiftDown(0);
        return true;
    }

    private void SiftDown(int index)
    {
        var item = _items[index];
        while (true)
        {
            var child = (2 * index) + 1;
            if (child >= _count)
            {
                break;
            }

            if (child + 1 < _count && _items[child + 1].IsBefore(_items[child]))
            {
                child++;
            }

            if (!_items[child].IsBefore(item))
            {
                break;
            }

            _items[index] = _items[child];
            index = child;
        }

        _items[index] = item;
    }
}
