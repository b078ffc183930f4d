using System.Text.Json.Nodes;
using Tessera.Testing;
using static Tessera.Models.Tests.Tokenization.TokenizerTests;

namespace Tessera.Models.Tests.Tokenization;

public sealed class TextSplitterTests
{
    [Theory]
    [InlineData("Hello world", "Hello| world")]
    [InlineData("it's I'll", "it|'s| I|'ll")]
    [InlineData("a  b   ", "a| | b|   ")]
    [InlineData("x1234 56!?", "x|1234| 56|!?")]
    [InlineData("a\n\nb", "a|\n|\n|b")]
    // Astral letters, numbers and symbols are letters, numbers and symbols as in other languages' patterns.
    [InlineData("𝒜b c", "𝒜b| c")]
    [InlineData("𝟙2 x", "𝟙2| x")]
    [InlineData("a🙂b", "a|🙂|b")]
    [InlineData("🙂🙂 𝒜𝒜", "🙂🙂| 𝒜𝒜")]
    public void Split_ByteLevelPattern_GivesItsPieces(string text, string expected) =>
        Assert.Equal(expected.Split('|'), Pieces(TextSplitter.ByteLevelPattern, text));

    [Theory]
    [InlineData("[0-9]", "a12b", "a|1|2|b")]
    [InlineData("[^a]", "a🙂b", "a|🙂|b")]
    [InlineData("x*", "axxb", "a|xx|b")]
    [InlineData("b(?=c)", "abcb", "a|b|cb")]
    public void Split_Pattern_GivesMatchesAndWhatIsBetween(string pattern, string text, string expected) =>
        Assert.Equal(expected.Split('|'), Pieces(pattern, text));

    [Fact]
    public void Split_AnyText_LosesNothing()
    {
        var random = new Random(11);
        string[] parts = ["a", " ", "'s", "1", "!", "\n", "🙂", "𝒜", "é", "\uD83D", "us", "\u2003"];
        for (var i = 0; i < 2_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => parts[random.Next(parts.Length)]));
            Assert.Equal(text, string.Concat(Pieces(TextSplitter.ByteLevelPattern, text)));
        }
    }

    [Fact]
    public void Encode_LiteralSplit_CutsAtTheText()
    {
        // " Tom" is a token only where a piece is exactly that.
        var tokenizer = Create(document => SetPreTokenizer(
            document,
            new JsonObject
            {
                ["type"] = "Split",
                ["pattern"] = new JsonObject { ["String"] = "." },
                ["behavior"] = "Isolated",
                ["invert"] = true,
            },
            TinyTokenizer.CreateByteLevel()));

        Assert.Equal(PackageBuilder.Ids(" Tom", ".", " Tom"), tokenizer.Encode(" Tom. Tom"));
    }

    [Fact]
    public void Encode_ByteLevelWithPrefixSpaceAndPattern_AddsTheSpaceOnce()
    {
        var tokenizer = Create(document =>
            document["pre_tokenizer"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["use_regex"] = true });

        Assert.Equal(PackageBuilder.Ids(" Tom", " Tom"), tokenizer.Encode("Tom Tom"));
        Assert.Equal(PackageBuilder.Ids(" Tom"), tokenizer.Encode(" Tom"));
    }

    private static IEnumerable<string> Pieces(string pattern, string text)
    {
        var pieces = new List<Range>();
        new TextSplitter(pattern).Split(text, .., pieces);
        return pieces.Select(piece => text[piece]);
    }
}
