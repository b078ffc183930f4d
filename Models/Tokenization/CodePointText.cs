using System.Globalization;
using System.Text;

namespace Tessera.Models;

/// <summary>
/// A text as patterns of tokenizer files see it: one unit per Unicode code point. .NET's patterns see UTF-16 units, for which an astral letter is two
/// surrogates and no letter; here each astral character is replaced by one BMP character of the same general category.
/// </summary>
internal readonly struct CodePointText
{
    private static readonly char[] StandIns = CreateStandIns();

    // Start of each unit in the text, with the text's length at the end; null when units and UTF-16 units are the same.
    private readonly int[]? _starts;

    /// <summary>Prepares <paramref name="text"/>.</summary>
    public CodePointText(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            Units = text;
            return;
        }

        var units = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        var position = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            starts.Add(position);
            units.Append(rune.IsBmp ? (char)rune.Value : StandIns[(int)Rune.GetUnicodeCategory(rune)]);
            position += rune.Utf16SequenceLength;
        }

        starts.Add(position);
        Units = units.ToString();
        _starts = [.. starts];
    }

    /// <summary>The text to match patterns on.</summary>
    public string Units { get; }

    /// <summary>Place in the original text of a place in <see cref="Units"/>.</summary>
    public int OriginalIndex(int unit) => _starts is null ? unit : _starts[unit];

    private static char[] CreateStandIns()
    {
        var standIns = new char[Enum.GetValues<UnicodeCategory>().Length];
        // Above ASCII, so that no pattern means one of them by name; unassigned is a category that has BMP characters too.
        for (var c = char.MaxValue; c >= 0x80; c--)
        {
            if (!char.IsSurrogate(c))
                standIns[(int)char.GetUnicodeCategory(c)] = c;
        }

        return standIns;
    }
}
