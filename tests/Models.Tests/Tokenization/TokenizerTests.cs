using System.Text;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Tessera.Testing;
using static Tessera.Testing.PackageBuilder;

namespace Tessera.Models.Tests.Tokenization;

public sealed class TokenizerTests
{
    private static readonly Tokenizer Tiny = Create(static _ => { });

    [Fact]
    public void Encode_Sentence_GivesWordsAsOneTokenEach() =>
        Assert.Equal(Ids(" Every", " lemp", "us", " is a", " wump", "us."), Tiny.Encode(" Every lempus is a wumpus."));

    [Fact]
    public void Encode_UnknownWord_FallsToBytes() =>
        Assert.Equal([.. Ids(" Tom"), .. " ate".Select(c => TinyTokenizer.FirstByteId + c)], Tiny.Encode(" Tom ate"));

    [Fact]
    public void Encode_CharactersOutsideAscii_AreTheirUtf8Bytes() =>
        Assert.Equal(Encoding.UTF8.GetBytes("é🙂").Select(value => TinyTokenizer.FirstByteId + value), Tiny.Encode("é🙂"));

    [Fact]
    public void Encode_EmptyText_GivesNoIds() => Assert.Empty(Tiny.Encode(""));

    [Fact]
    public void Encode_SpecialTextOfAClient_IsOrdinaryCharacters()
    {
        foreach (var token in TinyTokenizer.SpecialTokens)
        {
            var ids = Tiny.Encode($" Tom{token}{token}");
            Assert.DoesNotContain(ids, Tiny.IsSpecial);
            Assert.Equal($" Tom{token}{token}", Tiny.Decode(ids));
        }
    }

    [Fact]
    public void Encode_SpecialTextAllowed_IsOneTokenEach() =>
        Assert.Equal(Ids(" Tom", "<think>", "<latent_3>", "</think>", "<", "e"), Tiny.Encode(" Tom<think><latent_3></think><e", allowSpecial: true));

    [Fact]
    public void Encode_PieceThatIsASpecialTokenOfTheVocabulary_IsOrdinaryCharacters()
    {
        // One piece per text: "<pad>" is an entry of the vocabulary, and still no text becomes it.
        var tokenizer = Create(document => SetPreTokenizer(document, TinyTokenizer.CreateByteLevel()));

        Assert.Equal("<pad>".Select(c => TinyTokenizer.FirstByteId + c), tokenizer.Encode("<pad>"));
    }

    [Fact]
    public void Encode_AddedTokenThatIsNotSpecial_IsRecognisedInAnyText()
    {
        var tokenizer = Create(document => AddToken(document, "lempus!", special: false));

        Assert.Equal([.. Ids(" Tom"), TinyTokenizer.VocabularySize, .. Ids(".")], tokenizer.Encode(" Tomlempus!."));
        Assert.Equal(" Tomlempus!.", tokenizer.Decode([.. Ids(" Tom"), TinyTokenizer.VocabularySize, .. Ids(".")]));
    }

    [Fact]
    public void Encode_AddedTokensThatBeginAlike_TakesTheLongest()
    {
        var tokenizer = Create(document =>
        {
            AddToken(document, "<latent_1>x", special: true);
            AddToken(document, "<lat", special: true);
        });
        var (longest, shortest) = (TinyTokenizer.VocabularySize, TinyTokenizer.VocabularySize + 1);

        Assert.Equal([longest, .. Ids("<latent_1>"), shortest], tokenizer.Encode("<latent_1>x<latent_1><lat", allowSpecial: true));
    }

    [Fact]
    public void Decode_SpecialTokens_AreSkippedUnlessAskedFor()
    {
        var ids = Ids("<think>", " Tom", "</think>");

        Assert.Equal(" Tom", Tiny.Decode(ids));
        Assert.Equal("<think> Tom</think>", Tiny.Decode(ids, skipSpecial: false));
    }

    [Fact]
    public void Decode_BytesThatAreNoCharacter_BecomeReplacementCharacters() =>
        Assert.Equal("a\uFFFDb\uFFFD", Tiny.Decode([ByteId('a'), ByteId(0xE2), ByteId('b'), ByteId(0xFF)]));

    [Theory]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public void Decode_IdOutsideTheVocabulary_Throws(int id)
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Tiny.Decode([id]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Tiny.CreateDecoder().Append(id));
    }

    [Fact]
    public void Encode_HalfSurrogatePair_BecomesAReplacementCharacter() => Assert.Equal("a\uFFFDb", Tiny.Decode(Tiny.Encode("a\uD83Db")));

    [Fact]
    public void Decode_OfEncode_IsTheTextForAnyUnicode() =>
        Prop.ForAll<string>(text =>
        {
            // Half surrogate pairs are no Unicode text.
            var unicode = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text ?? ""));
            return Tiny.Decode(Tiny.Encode(unicode)) == unicode;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void IdOf_Tokens_FindsSpecialAndOrdinaryOnes()
    {
        Assert.Equal(TinyTokenizer.ThinkId, Tiny.IdOf("<think>"));
        Assert.Equal(TinyTokenizer.IdOf(" Tom"), Tiny.IdOf("ĠTom"));
        Assert.Null(Tiny.IdOf(" Tom"));
        Assert.Null(Tiny.IdOf("<latent_4>"));
        Assert.Equal(TinyTokenizer.VocabularySize, Tiny.VocabularySize);
    }

    [Fact]
    public void Load_MissingFile_IsRefused()
    {
        using var folder = new TemporaryFolder();

        Assert.Equal("file", Assert.Throws<ModelPackageException>(() => Tokenizer.Load(folder["tokenizer.json"])).Field);
    }

    internal static int ByteId(int value) => TinyTokenizer.FirstByteId + value;

    internal static Tokenizer Create(Action<JsonObject> change)
    {
        var document = TinyTokenizer.CreateDocument();
        change(document);
        return Tokenizer.Parse(Encoding.UTF8.GetBytes(document.ToJsonString()));
    }

    internal static void SetPreTokenizer(JsonObject document, params JsonNode[] steps) =>
        document["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(steps) };

    internal static void AddToken(JsonObject document, string content, bool special)
    {
        var added = document["added_tokens"]!.AsArray();
        var id = added.Max(token => token!["id"]!.GetValue<int>()) + 1;
        added.Add(new JsonObject { ["id"] = id, ["content"] = content, ["special"] = special });
    }
}
