using System.Text;
using System.Text.Json.Nodes;
using Tessera.Testing;
using static Tessera.Models.Tests.Tokenization.TokenizerTests;

namespace Tessera.Models.Tests.Tokenization;

public sealed class TokenizerFileTests
{
    [Theory]
    [InlineData("$.truncation", "{}")]
    [InlineData("$.padding", "{}")]
    [InlineData("$.surprise", "1")]
    [InlineData("$.normalizer.type", "{\"type\":\"NFKC\"}")]
    [InlineData("$.normalizer.type", "{}")]
    [InlineData("$.pre_tokenizer", "null")]
    [InlineData("$.pre_tokenizer.type", "{\"type\":\"Whitespace\"}")]
    [InlineData("$.pre_tokenizer", "{\"type\":\"Sequence\",\"pretokenizers\":[]}")]
    [InlineData("$.pre_tokenizer.pretokenizers[0].type", "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\"},{\"type\":\"ByteLevel\"}]}")]
    [InlineData("$.decoder", "null")]
    [InlineData("$.decoder.type", "{\"type\":\"Metaspace\"}")]
    [InlineData("$.decoder", "{\"type\":\"Sequence\",\"decoders\":[]}")]
    [InlineData("$.decoder.decoders[0].type", "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Strip\"}]}")]
    [InlineData("$.post_processor.type", "{\"type\":\"BertProcessing\"}")]
    [InlineData("$.post_processor.single", "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<eos>\"}},{\"Sequence\":{\"id\":\"A\"}}]}")]
    [InlineData("$.added_tokens", "{}")]
    [InlineData("$.model.vocab", "{}")]
    public void Parse_StageThatIsNotImplemented_IsRefusedByName(string field, string value)
    {
        var name = field.Split('.')[1];

        AssertRefused(field, document => document[name] = name == "model" ? Changed(document["model"]!, "vocab", value) : JsonNode.Parse(value));
    }

    [Theory]
    [InlineData("{\"type\":\"ByteLevel\",\"trim_offsets\":false}")]
    [InlineData("{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}")]
    [InlineData("{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"}]}")]
    [InlineData("null")]
    public void Parse_PostProcessorThatAddsNothing_IsAccepted(string value) =>
        Assert.Equal(PackageBuilder.Ids(" Tom"), Create(document => document["post_processor"] = JsonNode.Parse(value)).Encode(" Tom"));

    [Fact]
    public void Parse_SequenceOfOneByteLevelDecoder_IsAccepted() => Assert.Equal(
        " Tom",
        Create(document => document["decoder"] = new JsonObject { ["type"] = "Sequence", ["decoders"] = new JsonArray(TinyTokenizer.CreateByteLevel()) })
            .Decode(PackageBuilder.Ids(" Tom")));

    [Theory]
    [InlineData("type", "\"WordPiece\"")]
    [InlineData("dropout", "0.1")]
    [InlineData("unk_token", "\"<unk>\"")]
    [InlineData("byte_fallback", "1")]
    [InlineData("continuing_subword_prefix", "\"##\"")]
    [InlineData("end_of_word_suffix", "\"</w>\"")]
    [InlineData("ignore_merges", "1")]
    [InlineData("merges", "{}")]
    [InlineData("surprise", "1")]
    public void Parse_ModelOptionThatIsNotImplemented_IsRefusedByName(string name, string value) =>
        AssertRefused($"$.model.{name}", document => document["model"]![name] = JsonNode.Parse(value));

    [Fact]
    public void Parse_ByteFallbackOverByteLevelTokens_IsRefused() =>
        AssertRefused("$.model.vocab", document => document["model"]!["byte_fallback"] = true);

    [Theory]
    [InlineData("\"a\"")]
    [InlineData("\"a b c\"")]
    [InlineData("[\"a\"]")]
    [InlineData("\"a b\"")]
    [InlineData("[\"< >\", \"x\"]")]
    [InlineData("\"\"")]
    public void Parse_MergeOfNoTwoTokens_IsRefusedByIndex(string merge) =>
        AssertRefused("$.model.merges[0]", document => document["model"]!["merges"] = new JsonArray(JsonNode.Parse(merge)));

    [Fact]
    public void Parse_MergeTwice_IsRefused() => AssertRefused("$.model.merges[1]", document =>
    {
        document["model"]!["vocab"]!["ab"] = TinyTokenizer.VocabularySize;
        document["model"]!["merges"] = new JsonArray("a b", "a b");
    });

    [Fact]
    public void Parse_MergeThatMakesASpecialToken_IsRefused() => AssertRefused("$.model.merges[0]", document =>
    {
        AddToken(document, "ab", special: true);
        document["model"]!["merges"] = new JsonArray("a b");
    });

    [Theory]
    [InlineData("MergedWithPrevious")]
    [InlineData("MergedWithNext")]
    [InlineData("Contiguous")]
    [InlineData("Removed")]
    public void Parse_SplitOfAnotherBehaviour_IsRefused(string behaviour) =>
        AssertRefused("$.pre_tokenizer.pretokenizers[0].behavior", document => Split(document)["behavior"] = behaviour);

    [Theory]
    [InlineData("(")]
    [InlineData("[z-a]")]
    [InlineData("a++")]
    [InlineData("\\p{Han}")]
    [InlineData("\\w+")]
    [InlineData("\\bx")]
    [InlineData("^x")]
    [InlineData("x$")]
    [InlineData("[a[b]]")]
    [InlineData("[\\w&&[^a]]")]
    [InlineData("[]a]")]
    [InlineData("🙂")]
    public void Parse_PatternThatWouldMeanSomethingElse_IsRefused(string pattern) =>
        AssertRefused("$.pre_tokenizer.pretokenizers[0].pattern.Regex", document => Split(document)["pattern"]!["Regex"] = pattern);

    [Fact]
    public void Parse_PatternOfManyParentheses_IsRefusedOrReadButNeverFatal()
    {
        var pattern = new string('(', 8_000) + "a" + new string(')', 8_000);

        // Reading it is fine too, so long as the process lives to say so.
        var error = Record.Exception(() => Create(document => Split(document)["pattern"]!["Regex"] = pattern).Encode("aa"));

        Assert.True(error is null or ModelPackageException, error?.ToString());
    }

    [Fact]
    public void Parse_HugePattern_IsRefused() =>
        AssertRefused("$.pre_tokenizer.pretokenizers[0].pattern.Regex", document => Split(document)["pattern"]!["Regex"] = new string('a', 20_000));

    [Fact]
    public void Parse_PrefixSpaceAfterASplit_IsRefused() => AssertRefused(
        "$.pre_tokenizer.pretokenizers[1]", document => document["pre_tokenizer"]!["pretokenizers"]![1]!["add_prefix_space"] = true);

    [Theory]
    [InlineData("single_word")]
    [InlineData("lstrip")]
    [InlineData("rstrip")]
    public void Parse_AddedTokenThatTakesItsSurroundings_IsRefused(string flag) =>
        AssertRefused($"$.added_tokens[2].{flag}", document => document["added_tokens"]![2]![flag] = true);

    [Fact]
    public void Parse_AddedTokenTwice_IsRefused() =>
        AssertRefused("$.added_tokens[3].content", document => document["added_tokens"]![3]!["content"] = "<think>");

    [Fact]
    public void Parse_EmptyAddedToken_IsRefused() =>
        AssertRefused("$.added_tokens[3].content", document => document["added_tokens"]![3]!["content"] = "");

    [Fact]
    public void Parse_AddedTokenWithAnothersId_IsRefused() =>
        AssertRefused("$.added_tokens[3].id", document => document["added_tokens"]![3]!["id"] = 70);

    [Fact]
    public void Parse_AddedTokenWithAnotherIdThanInTheVocabulary_IsRefused() =>
        AssertRefused("$.added_tokens[1].id", document => document["added_tokens"]![1]!["id"] = 9999);

    [Theory]
    [InlineData(-1)]
    [InlineData(5_000_000)]
    public void Parse_IdOutOfRange_IsRefused(int id) => AssertRefused("$.added_tokens[3].id", document => document["added_tokens"]![3]!["id"] = id);

    [Fact]
    public void Parse_GapInTheIds_IsRefused() => AssertRefused("$.model.vocab", document => document["model"]!["vocab"]!["zz"] = 9999);

    [Fact]
    public void Parse_OneIdForTwoTokens_IsRefused() => AssertRefused("$.model.vocab.zz", document => document["model"]!["vocab"]!["zz"] = 300 - 40);

    [Fact]
    public void Parse_VocabularyWithoutAByte_IsRefused() => AssertRefused("$.model.vocab", document =>
    {
        document["model"]!["vocab"]!.AsObject().Remove("q");
        document["model"]!["vocab"]!["qq"] = TinyTokenizer.IdOf("q");
    });

    [Fact]
    public void Parse_TokenOutsideTheAlphabet_IsRefused() =>
        AssertRefused("$.model.vocab.a b", document => document["model"]!["vocab"]!["a b"] = TinyTokenizer.VocabularySize);

    [Fact]
    public void Parse_TruncatedFile_IsRefused()
    {
        var bytes = Encoding.UTF8.GetBytes(TinyTokenizer.CreateDocument().ToJsonString());

        foreach (var length in (int[])[0, 1, 100, bytes.Length - 1])
            Assert.Equal("$", Assert.Throws<ModelPackageException>(() => Tokenizer.Parse(bytes.AsMemory(0, length))).Field);
    }

    [Fact]
    public void Parse_RandomDamage_OnlyEverRefuses()
    {
        var document = TinyTokenizer.CreateDocument();
        document["model"]!["vocab"]!["ab"] = TinyTokenizer.VocabularySize;
        document["model"]!["merges"] = new JsonArray("a b");
        var valid = Encoding.UTF8.GetBytes(document.ToJsonString());

        Mutations.Run(valid, seed: 40, count: 20_000, bytes => Tokenizer.Parse(bytes));
    }

    private static JsonNode Changed(JsonNode owner, string name, string value)
    {
        owner[name] = JsonNode.Parse(value);
        return owner.DeepClone();
    }

    private static JsonNode Split(JsonObject document) => document["pre_tokenizer"]!["pretokenizers"]![0]!;

    private static void AssertRefused(string field, Action<JsonObject> change)
    {
        var refusal = Assert.Throws<ModelPackageException>(() => Create(change));
        Assert.Equal(("tokenizer.json", field), (refusal.File, refusal.Field));
    }
}
