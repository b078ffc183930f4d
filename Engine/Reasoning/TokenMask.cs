namespace Tessera.Engine.Reasoning;

/// <summary>Ids from <see cref="First"/> up to, but not including, <see cref="End"/>.</summary>
internal readonly record struct IdRange(int First, int End);

/// <summary>
/// A set of allowed ids as a bitset; the runs of set bits are kept beside it, because vector operations work on whole runs. Immutable and shared by all
/// sequences.
/// </summary>
internal sealed class TokenMask
{
    private const int BitsPerWord = 64;

    private readonly ulong[] _bits;
    private readonly IdRange[] _ranges;

    /// <summary>Creates a mask; empty ranges are left out.</summary>
    /// <exception cref="ArgumentException">Nothing is allowed, or ranges overlap.</exception>
    public TokenMask(params IEnumerable<IdRange> ranges)
        : this([.. ranges.Where(range => range.End > range.First).OrderBy(range => range.First)])
    {
    }

    private TokenMask(IdRange[] ranges)
    {
        _ranges = ranges;
        if (_ranges.Length == 0)
        {
            throw new ArgumentException("a mask must allow at least one id", nameof(ranges));
        }

        for (var i = 1; i < _ranges.Length; i++)
        {
            if (_ranges[i].First < _ranges[i - 1].End)
            {
                throw new ArgumentException($"ranges overlap at id {_ranges[i].First}", nameof(ranges));
            }
        }

        _bits = new ulong[((_ranges[^1].End - 1) / BitsPerWord) + 1];
        foreach (var range in _ranges)
        {
            for (var id = range.First; id < range.End; id++)
            {
                _bits[id / BitsPerWord] |= 1UL << (id % BitsPerWord);
            }
        }
    }

    /// <summary>The allowed ids, in order.</summary>
    public ReadOnlySpan<IdRange> Ranges => _ranges;

    /// <summary>The only allowed id; null when there are several. A forced token.</summary>
    public int? Single => _ranges is [{ } only] && only.End - only.First == 1 ? only.First : null;

    /// <summary>Whether <paramref name="id"/> is allowed.</summary>
    public bool Allows(int id) =>
        (uint)id < (uint)(_bits.Length * BitsPerWord) && (_bits[id / BitsPerWord] & (1UL << (id % BitsPerWord))) != 0;

    /// <summary>The mask without some ids; the mask itself when that would leave nothing, because something must be allowed.</summary>
    public TokenMask Except(IReadOnlyList<int> ids)
    {
        var left = new List<IdRange>();
        foreach (var range in _ranges)
        {
            var first = range.First;
            foreach (var id in ids.Where(id => id >= range.First && id < range.End).Distinct().Order())
            {
                left.Add(new IdRange(first, id));
                first = id + 1;
            }

            left.Add(new IdRange(first, range.End));
        }

        left.RemoveAll(range => range.End <= range.First);
        return left.Count == 0 ? this : new TokenMask(left);
    }
}
