using System.Text;

namespace Tessera.Models;

/// <summary>
/// Streams text from ids: keeps the bytes of an unfinished character until it is whole. What all calls give, joined, is what
/// <see cref="Tokenizer.Decode"/> gives for all ids (or, of a text that goes on another, that with its leading space). Not thread-safe.
/// </summary>
public sealed class IncrementalDecoder
{
    private const int MaxOnStack = 256;

    private readonly Tokenizer _tokenizer;
    private readonly Decoder _utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: false).GetDecoder();

    private bool _isStart;

    internal IncrementalDecoder(Tokenizer tokenizer, bool continues) => (_tokenizer, _isStart) = (tokenizer, !continues);

    /// <summary>Text that became whole with this id; may be empty.</summary>
    /// <param name="id">An id below <see cref="Tokenizer.VocabularySize"/>; special tokens give no text.</param>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public string Append(int id)
    {
        var bytes = _tokenizer.BytesOf(id, skipSpecial: true);
        if (_isStart && !bytes.IsEmpty)
        {
            bytes = _tokenizer.WithoutLeadingSpace(id, bytes);
            _isStart = false;
        }

        return Convert(bytes, flush: false);
    }

    /// <summary>Text of the bytes still held, with U+FFFD for what is no character; the decoder is empty afterwards.</summary>
    public string Flush() => Convert([], flush: true);

    private string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        var count = _utf8.GetCharCount(bytes, flush);
        if (count == 0 && !flush)
        {
            _utf8.GetChars(bytes, [], flush: false);
            return "";
        }

        Span<char> characters = count <= MaxOnStack ? stackalloc char[count] : new char[count];
        var written = _utf8.GetChars(bytes, characters, flush);
        return new string(characters[..written]);
    }
}
