using System.Buffers;
using System.Text;
using Tessera.Models.Packaging;

namespace Tessera.Models;

/// <summary>Reader of Hugging Face <c>tokenizer.json</c> (byte-level BPE, and SentencePiece's with byte fallback): text to ids and back. Immutable and thread-safe.</summary>
public sealed class Tokenizer
{
    private const int StackBytes = 256;
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: false);

    private readonly TokenizerParts _parts;
    private readonly BytePairMerger _merger;
    private readonly SentencePieceEncoder? _sentencePiece;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _vocabulary;
    private readonly Dictionary<string, int> _specialIds;
    private readonly bool[] _isSpecial;
    private readonly HashSet<int> _addedIds;
    private readonly AddedTokens _allAdded;
    private readonly AddedTokens _plainAdded;

    private Tokenizer(TokenizerParts parts)
    {
        _parts = parts;
        _merger = new BytePairMerger(parts.Merges);
        _sentencePiece = parts.SentencePiece is { } stages ? new SentencePieceEncoder(parts, stages, _merger) : null;
        _vocabulary = parts.Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        _specialIds = parts.Added.Where(token => token.IsSpecial).ToDictionary(token => token.Content, token => token.Id, StringComparer.Ordinal);
        _isSpecial = new bool[parts.Bytes.Length];
        foreach (var id in _specialIds.Values)
            _isSpecial[id] = true;
        _addedIds = [.. parts.Added.Select(token => token.Id)];
        _allAdded = new AddedTokens(parts.Added);
        _plainAdded = new AddedTokens(parts.Added.Where(token => !token.IsSpecial));
    }

    /// <summary>Ids are below this number.</summary>
    public int VocabularySize => _parts.Bytes.Length;

    /// <summary>Whether encoding puts a space before a text that begins with none, as SentencePiece files do.</summary>
    public bool AddsLeadingSpace => _parts.AddPrefixSpace || _parts.SentencePiece is { Prepends: true } or { Prefix: not PrefixScheme.Never };

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ModelPackageException">The file is not a tokenizer that this reader implements in full.</exception>
    public static Tokenizer Load(string path)
    {
        var name = Path.GetFileName(path);
        return Parse(PackageFileReader.ReadAll(path, name, TokenizerFile.MaxBytes), name);
    }

    /// <summary>Reads the content of a tokenizer.json.</summary>
    /// <param name="utf8">The document in UTF-8.</param>
    /// <param name="file">Name of the file in errors.</param>
    /// <exception cref="ModelPackageException">The document is not a tokenizer that this reader implements in full.</exception>
    public static Tokenizer Parse(ReadOnlyMemory<byte> utf8, string file = ModelPackage.TokenizerFileName) =>
        new(TokenizerFile.Parse(file, utf8));

    /// <summary>Ids of a text.</summary>
    /// <param name="text">
    /// Any text; byte-level vocabularies lose nothing of it, SentencePiece's only what packages.md says of U+2581 and a leading space. Half surrogate pairs
    /// become U+FFFD.
    /// </param>
    /// <param name="allowSpecial">Whether the content of special tokens is recognised; false for whatever a client wrote.</param>
    /// <exception cref="TimeoutException">The package's own pattern does not come to an end on this text.</exception>
    public int[] Encode(string text, bool allowSpecial = false) => Encode(text, allowSpecial, isStart: true);

    /// <summary>Ids of a text that may go on another one (then a space that files put only at the start of a text is not put).</summary>
    internal int[] Encode(string text, bool allowSpecial, bool isStart)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        foreach (var (part, token) in (allowSpecial ? _allAdded : _plainAdded).Cut(text))
        {
            if (token is null)
                AppendPlain(text[part], isStart && part.Start.Value == 0, ids);
            else
                ids.Add(token.Id);
        }

        return [.. ids];
    }

    /// <summary>Text of ids; bytes that are not UTF-8 become U+FFFD.</summary>
    /// <param name="ids">Ids below <see cref="VocabularySize"/>.</param>
    /// <param name="skipSpecial">Whether special tokens leave no text.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is outside the vocabulary.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = true)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(16, ids.Length * 4));
        var isStart = true;
        foreach (var id in ids)
        {
            var own = BytesOf(id, skipSpecial);
            if (own.IsEmpty)
                continue;
            bytes.Write(isStart ? WithoutLeadingSpace(id, own) : own);
            isStart = false;
        }

        return Utf8.GetString(bytes.WrittenSpan);
    }

    /// <summary>Text of one id within a text: where <see cref="Decode"/> leaves out a leading space, this does not.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public string TextOf(int id) => Utf8.GetString(BytesOf(id, skipSpecial: false));

    /// <summary>Id of a token's content (special tokens) or as the vocabulary spells it; null when there is none.</summary>
    public int? IdOf(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        return _specialIds.TryGetValue(token, out var id) || _parts.Vocabulary.TryGetValue(token, out id) ? id
            : _parts.Added.FirstOrDefault(added => added.Content == token)?.Id;
    }

    /// <summary>Whether <paramref name="id"/> is a special token, which text never becomes.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public bool IsSpecial(int id) => _isSpecial[Checked(id)];

    /// <summary>A decoder that takes one id at a time and gives text only in whole UTF-8 characters; special tokens give none.</summary>
    /// <param name="continues">
    /// Whether its text goes on one that is there already, as an answer goes on its prompt: then a leading space stays that <see cref="Decode"/> leaves out.
    /// </param>
    public IncrementalDecoder CreateDecoder(bool continues = false) => new(this, continues);

    /// <summary>Bytes that an id stands for; none for a special token that is skipped.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public ReadOnlySpan<byte> BytesOf(int id, bool skipSpecial) =>
        skipSpecial && _isSpecial[Checked(id)] ? [] : _parts.Bytes[Checked(id)];

    /// <summary>Cuts a text at special tokens; the rest is plain.</summary>
    internal IEnumerable<(string Text, int? SpecialId)> CutSpecial(string text)
    {
        foreach (var (part, token) in _allAdded.Cut(text))
            yield return (text[part], token is { IsSpecial: true } ? token.Id : null);
    }

    /// <summary>What the first bytes of a whole text are without the space that encoding put there.</summary>
    internal ReadOnlySpan<byte> WithoutLeadingSpace(int id, ReadOnlySpan<byte> bytes) => _parts.SentencePiece?.Leading switch
    {
        LeadingSpace.OneDropped when bytes[0] == ' ' => bytes[1..],
        // The space of a byte token or of an added one is no mark.
        LeadingSpace.FirstTokenDropped when id != _parts.ByteIds[' '] && !_addedIds.Contains(id) => bytes.ToArray().Where(value => value != ' ').ToArray(),
        _ => bytes,
    };

    private int Checked(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(id, VocabularySize);
        return id;
    }

    private void AppendPlain(string text, bool isStart, List<int> ids)
    {
        if (_sentencePiece is not null)
        {
            _sentencePiece.Append(text, isStart, ids);
            return;
        }

        if (_parts.IsNormalized)
            text = FormC.Normalize(text);
        if (_parts.AddPrefixSpace && text[0] != ' ')
            text = " " + text;
        List<Range> pieces = [Range.All];
        foreach (var splitter in _parts.Splitters)
        {
            var finer = new List<Range>();
            foreach (var piece in pieces)
                splitter.Split(text, piece, finer);
            pieces = finer;
        }

        foreach (var piece in pieces)
            AppendPiece(text.AsSpan(piece), ids);
    }

    private void AppendPiece(ReadOnlySpan<char> piece, List<int> ids)
    {
        var maxBytes = Utf8.GetMaxByteCount(piece.Length);
        var rented = maxBytes > StackBytes ? ArrayPool<byte>.Shared.Rent(maxBytes) : null;
        var buffer = rented ?? stackalloc byte[StackBytes];
        var bytes = buffer[..Utf8.GetBytes(piece, buffer)];
        if (!TryAppendWhole(bytes, ids))
            AppendMerged(bytes, ids);
        if (rented is not null)
            ArrayPool<byte>.Shared.Return(rented, clearArray: true);
    }

    /// <summary>Takes a piece that is a token as it stands, where the file says that merges are then ignored.</summary>
    private bool TryAppendWhole(ReadOnlySpan<byte> bytes, List<int> ids)
    {
        if (!_parts.IgnoreMerges || bytes.Length > StackBytes)
            return false;
        Span<char> spelled = stackalloc char[StackBytes];
        ByteLevelAlphabet.Spell(bytes, spelled);
        if (!_vocabulary.TryGetValue(spelled[..bytes.Length], out var id))
            return false;
        ids.Add(id);
        return true;
    }

    private void AppendMerged(ReadOnlySpan<byte> bytes, List<int> ids)
    {
        var rented = bytes.Length > StackBytes ? ArrayPool<int>.Shared.Rent(bytes.Length) : null;
        var pieceIds = (rented ?? stackalloc int[StackBytes])[..bytes.Length];
        for (var i = 0; i < bytes.Length; i++)
            pieceIds[i] = _parts.ByteIds[bytes[i]];
        _merger.Append(pieceIds, ids);
        if (rented is not null)
            ArrayPool<int>.Shared.Return(rented, clearArray: true);
    }
}
