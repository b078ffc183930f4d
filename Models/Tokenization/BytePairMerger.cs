namespace Tessera.Models;

/// <summary>What two neighbouring tokens become.</summary>
/// <param name="Rank">Lower ranks merge first.</param>
/// <param name="Id">The merged token.</param>
internal readonly record struct Merge(int Rank, int Id);

/// <summary>Byte pair encoding of one piece: merges neighbours by rank, leftmost first, in O(n log n).</summary>
internal sealed class BytePairMerger
{
    private const int None = -1;

    private readonly Dictionary<(int Left, int Right), Merge> _merges;

    /// <summary>Merges by <paramref name="merges"/>.</summary>
    public BytePairMerger(Dictionary<(int Left, int Right), Merge> merges) => _merges = merges;

    /// <summary>Appends to <paramref name="output"/> what <paramref name="ids"/> become.</summary>
    /// <param name="ids">Ids of the single bytes; overwritten.</param>
    /// <param name="output">Where the ids go.</param>
    public void Append(Span<int> ids, List<int> output)
    {
        if (_merges.Count == 0 || ids.Length < 2)
        {
            output.AddRange(ids);
            return;
        }

        var links = new Links(ids.Length);
        var candidates = new PriorityQueue<Candidate, (int Rank, int Position)>();
        for (var i = 0; i + 1 < ids.Length; i++)
            Offer(candidates, ids, i, i + 1);
        while (candidates.TryDequeue(out var candidate, out var key))
        {
            var (left, right) = (key.Position, links.Next[key.Position]);
            // A candidate is stale once either side has merged with another.
            if (right == None || ids[left] != candidate.Left || ids[right] != candidate.Right)
                continue;
            ids[left] = candidate.Id;
            ids[right] = None;
            links.Remove(right);
            if (links.Previous[left] is var before and not None)
                Offer(candidates, ids, before, left);
            if (links.Next[left] is var after and not None)
                Offer(candidates, ids, left, after);
        }

        foreach (var id in ids)
        {
            if (id != None)
                output.Add(id);
        }
    }

    private void Offer(PriorityQueue<Candidate, (int Rank, int Position)> candidates, ReadOnlySpan<int> ids, int left, int right)
    {
        if (_merges.TryGetValue((ids[left], ids[right]), out var merge))
            candidates.Enqueue(new Candidate(ids[left], ids[right], merge.Id), (merge.Rank, left));
    }

    private readonly record struct Candidate(int Left, int Right, int Id);

    /// <summary>The living positions as a doubly linked list.</summary>
    private sealed class Links
    {
        public Links(int count)
        {
            Next = new int[count];
            Previous = new int[count];
            for (var i = 0; i < count; i++)
                (Next[i], Previous[i]) = (i + 1 < count ? i + 1 : None, i - 1);
        }

        public int[] Next { get; }

        public int[] Previous { get; }

        public void Remove(int position)
        {
            var (before, after) = (Previous[position], Next[position]);
            // The first position is never removed: it is always the left side of a merge.
            Next[before] = after;
            if (after != None)
                Previous[after] = before;
            // A stale candidate at this position must find no neighbour.
            Next[position] = None;
        }
    }
}
