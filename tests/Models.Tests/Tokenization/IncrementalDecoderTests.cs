using System.Text;
using Tessera.Testing;
using static Tessera.Models.Tests.Tokenization.TokenizerTests;

namespace Tessera.Models.Tests.Tokenization;

public sealed class IncrementalDecoderTests
{
    private static readonly Tokenizer Tiny = Create(static _ => { });

    [Fact]
    public void Append_BytesOfACharacter_GivesItWithItsLastByte()
    {
        var decoder = Tiny.CreateDecoder();

        var pieces = Encoding.UTF8.GetBytes("é🙂").Select(value => decoder.Append(ByteId(value)));

        Assert.Equal(["", "é", "", "", "", "🙂"], pieces);
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void Append_SpecialTokenWithinACharacter_GivesNoTextAndKeepsTheBytes()
    {
        var decoder = Tiny.CreateDecoder();

        Assert.Equal("", decoder.Append(ByteId(0xC3)));
        Assert.Equal("", decoder.Append(TinyTokenizer.ThinkId));
        Assert.Equal("é", decoder.Append(ByteId(0xA9)));
    }

    [Fact]
    public void Flush_UnfinishedCharacter_GivesAReplacementCharacterOnce()
    {
        var decoder = Tiny.CreateDecoder();
        decoder.Append(ByteId(0xF0));
        decoder.Append(ByteId(0x9F));

        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("", decoder.Flush());
        Assert.Equal("a", decoder.Append(ByteId('a')));
    }

    [Fact]
    public void AppendAndFlush_RandomIds_JoinToDecode()
    {
        var random = new Random(7);
        // Lead and continuation bytes in every mixture, words and special tokens between them.
        int[] interesting = [0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF];
        for (var i = 0; i < 20_000; i++)
        {
            var ids = new int[random.Next(12)];
            for (var j = 0; j < ids.Length; j++)
                ids[j] = random.Next(4) == 0 ? random.Next(Tiny.VocabularySize) : ByteId(interesting[random.Next(interesting.Length)]);
            var decoder = Tiny.CreateDecoder();
            var pieces = ids.Select(decoder.Append).ToList();
            pieces.Add(decoder.Flush());

            Assert.Equal(Tiny.Decode(ids), string.Concat(pieces));
            Assert.DoesNotContain(pieces, piece => piece.Length > 0 && (char.IsLowSurrogate(piece[0]) || char.IsHighSurrogate(piece[^1])));
        }
    }
}
