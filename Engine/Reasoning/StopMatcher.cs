namespace Tessera.Engine.Reasoning;

/// <summary>
/// Finds stop strings in a text that comes in pieces. Text is held back while it may still turn out to be the beginning of a stop string, so that no part of
/// one is ever given out; the result does not depend on where the pieces end.
/// </summary>
internal sealed class StopMatcher(IReadOnlyList<string> stops)
{
    private string _held = "";

    /// <summary>Whether a stop string was found; no text comes afterwards.</summary>
    public bool IsMatched { get; private set; }

    /// <summary>Takes a piece and gives the text that is certain by now.</summary>
    public string Append(string piece)
    {
        if (IsMatched || stops.Count == 0)
        {
            return IsMatched ? "" : piece;
        }

        var text = _held + piece;
        if (FirstMatch(text) is { } start)
        {
            IsMatched = true;
            _held = "";
            return text[..start];
        }

        var heldCount = stops.Max(stop => BegunAtEnd(text, stop));
        _held = text[^heldCount..];
        return text[..^heldCount];
    }

    /// <summary>The text that was held back; for the end of a response that no stop string ended.</summary>
    public string Flush()
    {
        var held = _held;
        _held = "";
        return held;
    }

    // Start of the match that ends first; of several that end there, the longest. A text that came one character at a time gives the same.
    private int? FirstMatch(string text)
    {
        int? bestStart = null;
        var bestEnd = int.MaxValue;
        foreach (var stop in stops)
        {
            var start = text.IndexOf(stop, StringComparison.Ordinal);
            var end = start + stop.Length;
            if (start >= 0 && (end < bestEnd || (end == bestEnd && start < bestStart)))
            {
                (bestStart, bestEnd) = (start, end);
            }
        }

        return bestStart;
    }

    // Length of the longest end of the text that is a beginning of the stop string.
    private static int BegunAtEnd(string text, string stop)
    {
        for (var length = Math.Min(stop.Length - 1, text.Length); length > 0; length--)
        {
            if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
            {
                return length;
            }
        }

        return 0;
    }
}
