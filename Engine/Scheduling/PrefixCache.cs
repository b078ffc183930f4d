using Tessera.Engine.Execution;

namespace Tessera.Engine.Scheduling;

/// <summary>A prefix that can be copied: the first positions of a sequence with a slot, or of a kept prompt.</summary>
/// <param name="Living">The sequence; null for a kept prompt.</param>
/// <param name="KeptSlot">Slot of the kept prompt.</param>
/// <param name="Length">Positions; 0 = nothing to copy.</param>
internal readonly record struct PrefixHit(Sequence? Living, int KeptSlot, int Length)
{
    /// <summary>Where it is now: a living sequence may move until it is copied.</summary>
    public int Slot => Living?.Slot ?? KeptSlot;
}

/// <summary>
/// Finds the longest prefix of a new sequence whose keys and values are there already, and keeps the prompts of finished sequences for it. Keyed by the ids
/// themselves (latents included) and the request's salt. Kept prompts are in slots of their own, are bounded in number and positions, and go, least recently used
/// first, before they cost a sequence its place. Owned by the engine's thread.
/// </summary>
/// <param name="runner">Copies slots.</param>
/// <param name="firstSlot">First slot for kept prompts.</param>
/// <param name="entryCount">Most prompts that are kept.</param>
/// <param name="maxPositions">Most positions of all kept prompts.</param>
/// <param name="isOn">Whether anything is shared at all.</param>
internal sealed class PrefixCache(IModelRunner runner, int firstSlot, int entryCount, long maxPositions, bool isOn)
{
    /// <summary>Shorter prefixes are computed: several short prompts run in one call, a copied one runs alone.</summary>
    public const int MinLength = 16;

    // Least recently used first.
    private readonly LinkedList<Entry> _entries = [];
    private readonly Stack<int> _free = new(Enumerable.Range(firstSlot, entryCount).Reverse());

    /// <summary>Positions of the kept prompts.</summary>
    public long PositionCount { get; private set; }

    /// <summary>Prompt tokens for which a prefix was looked for.</summary>
    public long QueriedTokens { get; private set; }

    /// <summary>Prompt tokens that were copied.</summary>
    public long HitTokens { get; private set; }

    /// <summary>
    /// The longest prefix that can be copied; of length 0 when there is none worth it. Only positions that were run as a prompt are copied, and at least two are
    /// left to be run as one, so that a copied prefix cannot change a token.
    /// </summary>
    /// <param name="sequence">A sequence with ids and no slot.</param>
    /// <param name="living">Sequences with a slot.</param>
    public PrefixHit Find(Sequence sequence, IEnumerable<Sequence> living)
    {
        var best = default(PrefixHit);
        if (!isOn)
        {
            return best;
        }

        var limit = sequence.PromptCount - 2;
        foreach (var other in living)
        {
            if (other.Request.CacheSalt == sequence.Request.CacheSalt)
            {
                var length = CommonLength(sequence, other.Ids.Span[..Math.Min(other.ComputedCount, other.PromptCount)], limit);
                best = length > best.Length ? new PrefixHit(other, -1, length) : best;
            }
        }

        LinkedListNode<Entry>? used = null;
        for (var node = _entries.First; node is not null; node = node.Next)
        {
            if (node.Value.Salt == sequence.Request.CacheSalt)
            {
                var length = CommonLength(sequence, node.Value.Ids, limit);
                (best, used) = length > best.Length ? (new PrefixHit(null, node.Value.Slot, length), node) : (best, used);
            }
        }

        if (best.Length < MinLength)
        {
            return default;
        }

        Touch(used);
        return best;
    }

    /// <summary>Counts a prompt that was looked for.</summary>
    public void Count(int promptPositions, int hitPositions)
    {
        if (isOn)
        {
            QueriedTokens += promptPositions;
            HitTokens += hitPositions;
        }
    }

    /// <summary>Says that a long prompt will be there to be kept, so that memory for its copy can be there in time: in a free slot, or in that of the entry that goes first.</summary>
    public void Expect(int promptPositions)
    {
        if (promptPositions > maxPositions || entryCount == 0)
            return;
        runner.ExpectPositions(_free.TryPeek(out var slot) ? slot : _entries.First!.Value.Slot, promptPositions);
    }

    /// <summary>Keeps the prompt of a sequence that is about to leave its slot.</summary>
    /// <param name="sequence">The sequence.</param>
    /// <param name="freePositions">Positions that nobody needs, those of kept prompts included.</param>
    public void Keep(Sequence sequence, long freePositions)
    {
        var length = Math.Min(sequence.Request.PromptPositions, sequence.ComputedCount);
        if (length < MinLength || entryCount == 0 || length > maxPositions || length > freePositions)
        {
            return;
        }

        var ids = sequence.Ids.Span[..length];
        if (FindSame(ids, sequence.Request.CacheSalt) is { } same)
        {
            Touch(same);
            if (same.Value.Ids.Length >= length)
            {
                return;
            }

            // The longer prompt takes the place of the one that it begins with.
            Evict(same);
        }

        while (_entries.First is { } oldest && (_free.Count == 0 || PositionCount + length > Math.Min(maxPositions, freePositions)))
        {
            Evict(oldest);
        }

        var slot = _free.Pop();
        _entries.AddLast(new Entry(slot, ids.ToArray(), sequence.Request.CacheSalt));
        PositionCount += length;
        runner.MoveSlot(sequence.Slot, slot, length);
    }

    /// <summary>Gives up the prompt that was used longest ago; false when there is none.</summary>
    public bool TryEvict()
    {
        if (_entries.First is not { } oldest)
        {
            return false;
        }

        Evict(oldest);
        return true;
    }

    /// <summary>Gives everything up after a failed step, whatever the runtime says to it.</summary>
    public void Clear()
    {
        while (_entries.First is { } entry)
        {
            try
            {
                Evict(entry);
            }
            catch (Exception)
            {
                // The step's own failure is reported; the slot is overwritten by its next prompt.
            }
        }
    }

    /// <summary>Checks the bookkeeping.</summary>
    public void AssertInvariants()
    {
        var positions = _entries.Sum(entry => (long)entry.Ids.Length);
        var slots = _entries.Select(entry => entry.Slot).Concat(_free).Distinct().Count();
        if (positions != PositionCount || positions > maxPositions || slots != entryCount || _entries.Count + _free.Count != entryCount)
        {
            throw new InvalidOperationException(
                $"prefix cache: {positions} positions, counted {PositionCount}, limit {maxPositions}; {_entries.Count} entries, {_free.Count} free, {entryCount} slots");
        }
    }

    private static int CommonLength(Sequence sequence, ReadOnlySpan<int> ids, int limit) =>
        Math.Min(limit, sequence.Ids.Span.CommonPrefixLength(ids));

    // An entry that begins with the ids, or is a beginning of them.
    private LinkedListNode<Entry>? FindSame(ReadOnlySpan<int> ids, string? salt)
    {
        for (var node = _entries.First; node is not null; node = node.Next)
        {
            if (node.Value.Salt == salt && ids.CommonPrefixLength(node.Value.Ids) == Math.Min(ids.Length, node.Value.Ids.Length))
            {
                return node;
            }
        }

        return null;
    }

    private void Touch(LinkedListNode<Entry>? node)
    {
        if (node is not null)
        {
            _entries.Remove(node);
            _entries.AddLast(node);
        }
    }

    private void Evict(LinkedListNode<Entry> node)
    {
        _entries.Remove(node);
        _free.Push(node.Value.Slot);
        PositionCount -= node.Value.Ids.Length;
        runner.ReleaseSlot(node.Value.Slot);
    }

    private sealed record Entry(int Slot, int[] Ids, string? Salt);
}
