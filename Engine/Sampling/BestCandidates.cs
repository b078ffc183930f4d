using System.Numerics.Tensors;

namespace Tessera.Engine.Sampling;

/// <summary>
/// Finds the k best of many candidates in one pass, without a full sort: blocks whose maximum cannot get in are passed over by one vector comparison.
/// </summary>
/// <param name="capacity">Most candidates that are ever kept.</param>
internal sealed class BestCandidates(int capacity)
{
    // A few vector widths: short enough that few candidates are looked at one by one, long enough that the maximum costs next to nothing.
    private const int BlockLength = 64;

    private static readonly Comparison<Candidate> BestFirst = (left, right) => left.IsBefore(right) ? -1 : right.IsBefore(left) ? 1 : 0;

    // A heap with the worst kept candidate at its root.
    private readonly Candidate[] _items = new Candidate[capacity];
    private int _limit;
    private int _count;

    /// <summary>The kept candidates; in order, best first, after <see cref="Order"/>.</summary>
    public ReadOnlySpan<Candidate> Kept => _items.AsSpan(0, _count);

    /// <summary>Begins anew and keeps at most so many.</summary>
    public void Begin(int limit)
    {
        _limit = Math.Min(limit, capacity);
        _count = 0;
    }

    /// <summary>Looks at neighbouring candidates. Ids must rise from call to call: of equal weights the lower id stays.</summary>
    /// <param name="weights">Their weights.</param>
    /// <param name="firstId">Id of the first.</param>
    /// <param name="above">Candidates that do not weigh more are left out; NaN never gets in.</param>
    public void Look(ReadOnlySpan<float> weights, int firstId, float above)
    {
        for (var start = 0; start < weights.Length; start += BlockLength)
        {
            var block = weights.Slice(start, Math.Min(BlockLength, weights.Length - start));
            if (_count == _limit && TensorPrimitives.MaxNumber(block) <= _items[0].Weight)
            {
                continue;
            }

            for (var i = 0; i < block.Length; i++)
            {
                if (block[i] > above)
                {
                    Offer(new Candidate(firstId + start + i, block[i]));
                }
            }
        }
    }

    /// <summary>Puts the kept candidates into order.</summary>
    public void Order() => _items.AsSpan(0, _count).Sort(BestFirst);

    private void Offer(Candidate candidate)
    {
        if (_count < _limit)
        {
            SiftUp(candidate, _count++);
        }
        else if (_limit > 0 && candidate.IsBefore(_items[0]))
        {
            ReplaceWorst(candidate);
        }
    }

    private void SiftUp(Candidate item, int index)
    {
        while (index > 0)
        {
            var parent = (index - 1) / 2;
            if (!_items[parent].IsBefore(item))
            {
                break;
            }

            _items[index] = _items[parent];
            index = parent;
        }

        _items[index] = item;
    }

    private void ReplaceWorst(Candidate item)
    {
        var index = 0;
        while (true)
        {
            var child = (2 * index) + 1;
            if (child >= _count)
            {
                break;
            }

            if (child + 1 < _count && _items[child].IsBefore(_items[child + 1]))
            {
                child++;
            }

            if (!item.IsBefore(_items[child]))
            {
                break;
            }

            _items[index] = _items[child];
            index = child;
        }

        _items[index] = item;
    }
}
