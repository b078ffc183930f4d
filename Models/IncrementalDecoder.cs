using System.Text;

namespace Tessera.Models;

/// <summary>
/// Streams text from ids: keeps the bytes of an unfinished character until it is whole. What all calls give, joined, is what
/// <see cref="Tokenizer.Decode"/> gives for all ids. Not thread-safe.
/// </summary>
public sealed class IncrementalDecoder
{
    private readonly Tokenizer _tokenizer;
    private readonly Decoder _utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: false).GetDecoder();

    internal IncrementalDecoder(Tokenizer tokenizer) => _tokenizer = tokenizer;

    /// <summary>Text that became whole with this id; may be empty.</summary>
    /// <param name="id">An id below <see cref="Tokenizer.VocabularySize"/>; special tokens give no text.</param>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public string Append(int id) => Convert(_tokenizer.BytesOf(id, skipSpecial: true), flush: false);

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

        var characters = new char[count];
        var written = _utf8.GetChars(bytes, characters, flush);
        return new string(characters, 0, written);
    }
}
