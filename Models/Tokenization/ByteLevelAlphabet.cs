namespace Tessera.Models;

/// <summary>
/// The byte-level alphabet: each byte has a printable character, so that a vocabulary of strings can spell any bytes. Printable Latin-1 stands for
/// itself; the other 68 bytes take U+0100 and on, in order.
/// </summary>
internal static class ByteLevelAlphabet
{
    private const int FirstShifted = 0x100;
    private static readonly char[] Characters = CreateCharacters();
    private static readonly short[] Bytes = CreateBytes();

    /// <summary>Character of a byte.</summary>
    public static char CharacterOf(byte value) => Characters[value];

    /// <summary>Token of a single byte.</summary>
    public static string SpellingOf(byte value) => Characters[value].ToString();

    /// <summary>Writes the byte-level form of <paramref name="utf8"/>; one character per byte.</summary>
    public static void Spell(ReadOnlySpan<byte> utf8, Span<char> characters)
    {
        for (var i = 0; i < utf8.Length; i++)
            characters[i] = Characters[utf8[i]];
    }

    /// <summary>Bytes that a token of the vocabulary spells; null when one of its characters is no byte.</summary>
    public static byte[]? BytesOf(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
        {
            if (token[i] >= Bytes.Length || Bytes[token[i]] < 0)
                return null;
            bytes[i] = (byte)Bytes[token[i]];
        }

        return bytes;
    }

    private static char[] CreateCharacters()
    {
        var characters = new char[256];
        var shifted = FirstShifted;
        for (var value = 0; value < 256; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            characters[value] = (char)(printable ? value : shifted++);
        }

        return characters;
    }

    private static short[] CreateBytes()
    {
        var bytes = new short[Characters.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (var value = 0; value < 256; value++)
            bytes[Characters[value]] = (short)value;
        return bytes;
    }
}
