namespace Tessera.Engine.Reasoning;

/// <summary>Ids from <see cref="First"/> up to, but not including, <see cref="End"/>.</summary>
internal readonly record struct IdRange(int First, int End);

/// <summary>A set of allowed ids as sorted, disjoint, non-empty ranges. Immutable and shared by all sequences.</summary>
internal sealed class TokenMask
{
    private readonly IdRange[] _ranges;

    /// <summary>Creates a mask; empty ranges are left out.</summary>
    /// <exception cref="ArgumentException">Nothing is allowed, or ranges overlap.</exception>
    public TokenMask(params IEnumerable<IdRange> ranges)
    {
        _ranges = [.. ranges.Where(range => range.End > range.First).OrderBy(range => range.First)];
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
    }

    /// <summary>The allowed ids.</summary>
    public ReadOnlySpan<IdRange> Ranges => _ranges;

    /// <summary>The only allowed id; null when there are several. A forced token.</summary>
    public int? Single => _ranges is [{ } only] && only.End - only.First == 1 ? only.First : null;

    /// <summary>Whether <paramref name="id"/> is allowed.</summary>
    public bool Allows(int id)
    {
        foreach (var range in _ranges)
        {
            if (id >= range.First && id < range.End)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Sets the logits of all ids that are not allowed to negative infinity.</summary>
    public void Apply(Span<float> logits)
    {
        var next = 0;
        foreach (var range in _ranges)
        {
            logits[next..range.First].Fill(float.NegativeInfinity);
            next = range.End;
        }

        logits[next..].Fill(float.NegativeInfinity);
    }
}
