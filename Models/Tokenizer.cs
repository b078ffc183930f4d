namespace Tessera.Models;

/// <summary>Reader of Hugging Face <c>tokenizer.json</c> (byte-level BPE): text to ids and back.</summary>
public sealed class Tokenizer
{
    private Tokenizer()
    {
    }

    /// <summary>Ids are below this number.</summary>
    public int VocabularySize => throw new NotImplementedException();

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelPackageException">The file is not a tokenizer that this reader implements in full.</exception>
    public static Tokenizer Load(string path) => throw new NotImplementedException();

    /// <summary>Ids of a text.</summary>
    /// <param name="text">Any text; it is lossless for byte-level vocabularies.</param>
    /// <param name="allowSpecial">Whether the content of special tokens is recognised; false for whatever a client wrote.</param>
    public int[] Encode(string text, bool allowSpecial = false) => throw new NotImplementedException();

    /// <summary>Text of ids; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Ids below <see cref="VocabularySize"/>.</param>
    /// <param name="skipSpecial">Whether special tokens leave no text.</param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true) => throw new NotImplementedException();

    /// <summary>Id of a token's content (special tokens) or of its byte-level form; null when there is none.</summary>
    public int? IdOf(string token) => throw new NotImplementedException();

    /// <summary>A decoder that takes one id at a time and gives text only in whole UTF-8 characters.</summary>
    public IncrementalDecoder CreateDecoder() => throw new NotImplementedException();
}

/// <summary>Streams text from ids: keeps the bytes of an unfinished character until it is whole.</summary>
public sealed class IncrementalDecoder
{
    internal IncrementalDecoder()
    {
    }

    /// <summary>Text that became whole with this id; may be empty.</summary>
    public string Append(int id) => throw new NotImplementedException();

    /// <summary>Text of the bytes still held, with U+FFFD for what is no character; the decoder is empty afterwards.</summary>
    public string Flush() => throw new NotImplementedException();
}
