using System.Text.RegularExpressions;

namespace Tessera.Models;

/// <summary>One pre-tokenizer step: cuts a text into pieces at the matches of a pattern; matches and what is between them are pieces.</summary>
internal sealed class TextSplitter
{
    /// <summary>The pattern of a ByteLevel pre-tokenizer with <c>use_regex</c>.</summary>
    public const string ByteLevelPattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    // A pattern comes with a package: one that backtracks without end must not hold a request for ever.
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(5);

    private readonly Regex _pattern;

    /// <summary>Compiles a pattern.</summary>
    /// <exception cref="ArgumentException">It is not a pattern of .NET.</exception>
    public TextSplitter(string pattern) =>
        _pattern = new Regex(pattern, RegexOptions.CultureInvariant, MatchTimeout);

    /// <summary>Adds the pieces of a part of <paramref name="text"/> to <paramref name="pieces"/>; together they are the part.</summary>
    /// <exception cref="RegexMatchTimeoutException">The pattern takes too long on this text.</exception>
    public void Split(string text, Range part, List<Range> pieces)
    {
        var (offset, length) = part.GetOffsetAndLength(text.Length);
        // Each piece is matched as a text of its own: look-around ends at its borders.
        var codePoints = new CodePointText(length == text.Length ? text : text.Substring(offset, length));
        var end = 0;
        foreach (var match in _pattern.EnumerateMatches(codePoints.Units))
        {
            Add(end, match.Index);
            end = match.Index + match.Length;
            Add(match.Index, end);
        }

        Add(end, codePoints.Units.Length);

        void Add(int from, int to)
        {
            if (to > from)
                pieces.Add((offset + codePoints.OriginalIndex(from))..(offset + codePoints.OriginalIndex(to)));
        }
    }
}
