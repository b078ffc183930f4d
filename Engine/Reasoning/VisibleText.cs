using Tessera.Models;

namespace Tessera.Engine.Reasoning;

/// <summary>
/// Turns the ids of one part of a response (reasoning text, or the answer) into what a client sees: whole characters, leading white space left out if the
/// chat format says so.
/// </summary>
internal sealed class VisibleText(IncrementalDecoder decoder, bool stripLeadingSpace)
{
    private bool _isStripping = stripLeadingSpace;

    /// <summary>Text that became whole with this id; may be empty.</summary>
    public string Append(int id) => Strip(decoder.Append(id));

    /// <summary>Text of an unfinished character.</summary>
    public string Flush() => Strip(decoder.Flush());

    private string Strip(string text)
    {
        if (!_isStripping)
        {
            return text;
        }

        var stripped = text.TrimStart();
        _isStripping = stripped.Length == 0;
        return stripped;
    }
}
