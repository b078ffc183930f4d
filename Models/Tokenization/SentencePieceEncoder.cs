using System.Buffers;
using System.Globalization;
using System.Text;

namespace Tessera.Models;

/// <summary>
/// Encodes by a vocabulary of characters with byte fallback: each character that is a token begins as that, any other as the tokens of its UTF-8 bytes;
/// then neighbours merge by rank over the whole piece. Thread-safe.
/// </summary>
internal sealed class SentencePieceEncoder(TokenizerParts parts, SentencePieceStages stages, BytePairMerger merger)
{
    private const int StackIds = 256;
    private const int MaxIdsPerUnit = 3;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _vocabulary =
        parts.Vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();

    private readonly HashSet<int> _byteIds = [.. parts.ByteIds];

    /// <summary>Spelling of the token of a byte.</summary>
    public static string TokenOf(byte value) => string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>");

    /// <summary>Bytes that a token of the vocabulary stands for.</summary>
    public static byte[] BytesOf(string token)
    {
        // Decoding takes hexadecimal digits of either case.
        if (token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
        {
            return [value];
        }

        return Encoding.UTF8.GetBytes(token.Replace(SentencePieceStages.Mark, ' '));
    }

    /// <summary>Appends the ids of a stretch of text that holds no added token.</summary>
    /// <param name="text">The stretch; not empty.</param>
    /// <param name="isStart">Whether the whole text begins with it.</param>
    /// <param name="ids">Where the ids go.</param>
    public void Append(string text, bool isStart, List<int> ids)
    {
        var rest = stages.Spell(text, isStart).AsSpan();
        while (stages.SplitsAtMarks && rest.Length > 1 && rest[1..].IndexOf(SentencePieceStages.Mark) is var next and >= 0)
        {
            AppendPiece(rest[..(next + 1)], ids);
            rest = rest[(next + 1)..];
        }

        AppendPiece(rest, ids);
    }

    private void AppendPiece(ReadOnlySpan<char> piece, List<int> ids)
    {
        // A text that spells the token of a byte is still that text.
        if (parts.IgnoreMerges && _vocabulary.TryGetValue(piece, out var whole) && !_byteIds.Contains(whole))
        {
            ids.Add(whole);
            return;
        }

        var length = piece.Length * MaxIdsPerUnit;
        var rented = length > StackIds ? ArrayPool<int>.Shared.Rent(length) : null;
        var buffer = rented ?? stackalloc int[StackIds];
        merger.Append(buffer[..ReadCharacters(piece, buffer)], ids);
        if (rented is not null)
            ArrayPool<int>.Shared.Return(rented, clearArray: true);
    }

    private int ReadCharacters(ReadOnlySpan<char> piece, Span<int> ids)
    {
        Span<char> spelled = stackalloc char[2];
        Span<byte> utf8 = stackalloc byte[4];
        var count = 0;
        while (!piece.IsEmpty)
        {
            // Half a surrogate pair reads as U+FFFD.
            Rune.DecodeFromUtf16(piece, out var character, out var units);
            piece = piece[units..];
            if (_vocabulary.TryGetValue(spelled[..character.EncodeToUtf16(spelled)], out var id))
            {
                ids[count++] = id;
                continue;
            }

            foreach (var value in utf8[..character.EncodeToUtf8(utf8)])
                ids[count++] = parts.ByteIds[value];
        }

        return count;
    }
}
