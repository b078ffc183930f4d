using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;

namespace Tessera.Models.Tests.Tokenization;

/// <summary>
/// Files with byte fallback. The fixture is the Training side's own output: <c>python3 -m tessera_training.hf.sentencepiece_reference --out
/// tests/Models.Tests/fixtures/sentencepiece</c>.
/// </summary>
public sealed class SentencePieceTests
{
    private const int CaseCount = 792;
    private const int Bos = 1;
    private const int FirstByteId = 3;

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private static readonly Tokenizer Llama = Create(static _ => { });
    private static readonly Dictionary<string, Tokenizer> Variants = Reference().GetProperty("variants").EnumerateObject()
        .ToDictionary(variant => variant.Name, variant => Create(document => Vary(document, variant.Value)));

    public static TheoryData<string> VariantNames => [.. Variants.Keys];

    [Fact]
    public void EncodeAndDecode_TextsOfTheTrainingSide_GiveItsIdsAndTexts()
    {
        var count = 0;
        foreach (var line in Reference().GetProperty("cases").EnumerateArray())
        {
            var tokenizer = Variants[line.GetProperty("variant").GetString()!];
            var expected = line.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32()).ToArray();
            var ids = tokenizer.Encode(line.GetProperty("text").GetString()!, line.GetProperty("special").GetBoolean());

            Assert.True(expected.SequenceEqual(ids), $"{line}: found [{string.Join(", ", ids)}]");
            Assert.Equal(line.GetProperty("decoded").GetString(), tokenizer.Decode(expected));
            count++;
        }

        Assert.Equal((CaseCount, 8), (count, Variants.Count));
    }

    [Theory]
    [InlineData("prepend", false)]
    [InlineData("ignore-merges", false)]
    [InlineData("null", false)]
    [InlineData("metaspace-never", false)]
    [InlineData("metaspace-first", true)]
    [InlineData("metaspace-always", true)]
    [InlineData("metaspace-flag", true)]
    [InlineData("replace", true)]
    public void Decode_OfEncode_LosesOnlyMarksAndWhereTheFileSaysSoOneLeadingSpace(string variant, bool losesLeadingSpace) =>
        Prop.ForAll<string, byte>((random, spaces) =>
        {
            // Half surrogate pairs are no Unicode text.
            var text = new string(' ', spaces % 4) + Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(random ?? ""));
            var kept = text.Replace('\u2581', ' ');
            return Variants[variant].Decode(Variants[variant].Encode(text)) == (losesLeadingSpace && kept.StartsWith(' ') ? kept[1..] : kept);
        }).QuickCheckThrowOnFailure();

    [Theory]
    [MemberData(nameof(VariantNames))]
    public void Append_RandomIds_JoinToDecodeAndGoOnAText(string variant)
    {
        var tokenizer = Variants[variant];
        var anchor = tokenizer.Encode("a")[^1];
        var random = new Random(11);
        for (var i = 0; i < 4_000; i++)
        {
            var ids = new int[random.Next(10)];
            for (var j = 0; j < ids.Length; j++)
                ids[j] = random.Next(2) == 0 ? random.Next(tokenizer.VocabularySize) : FirstByteId + random.Next(0x80, 0x100);

            Assert.Equal(tokenizer.Decode(ids), Stream(tokenizer.CreateDecoder(), ids));
            Assert.Equal(tokenizer.Decode([anchor, .. ids]), tokenizer.Decode([anchor]) + Stream(tokenizer.CreateDecoder(continues: true), ids));
        }
    }

    [Fact]
    public void Append_BytesOfACharacter_GivesItWithItsLastByte()
    {
        var decoder = Llama.CreateDecoder();

        Assert.Equal(["", "", "", "", "🙂"], Llama.Encode("🙂").Select(decoder.Append));
    }

    [Fact]
    public void Append_WordsOfAnAnswer_KeepTheirSpacesAndAWholeTextDropsItsFirst()
    {
        var ids = Llama.Encode("Tom is Tom");

        Assert.Equal("Tom is Tom", Stream(Llama.CreateDecoder(), ids));
        Assert.Equal(" Tom is Tom", Stream(Llama.CreateDecoder(continues: true), ids));
        Assert.Equal(" Tom is Tom", string.Concat(ids.Select(Llama.TextOf)));
        Assert.Equal("Tom is Tom", Llama.Decode([Bos, .. ids]));
        Assert.True(Llama.AddsLeadingSpace);
    }

    [Fact]
    public void Encode_TextOfSpecialAndByteTokens_IsOrdinaryCharacters()
    {
        foreach (var (name, tokenizer) in Variants)
        {
            foreach (var text in (string[])["<s>", "</s>", "<unk>", "<0x41>"])
            {
                var ids = tokenizer.Encode(text);
                Assert.DoesNotContain(ids, tokenizer.IsSpecial);
                Assert.True(tokenizer.Decode(ids) == text, $"{name}: {text}");
            }
        }
    }

    [Fact]
    public void Encode_HalfSurrogatePair_BecomesAReplacementCharacter() => Assert.Equal("a\uFFFDb", Llama.Decode(Llama.Encode("a\uD83Db")));

    [Theory]
    [InlineData("lempus ")]
    [InlineData("numpus")]
    [InlineData(" ")]
    [InlineData("🙂")]
    public async Task Encode_LongTextWithoutAPreTokenizer_ComesToAnEnd(string unit)
    {
        // Quadratic merging would take hours.
        var text = string.Concat(Enumerable.Repeat(unit, 600_000 / unit.Length));

        var ids = await Task.Run(() => Llama.Encode(text)).WaitAsync(Patience);

        Assert.Equal(text, Llama.Decode(ids));
    }

    [Theory]
    [InlineData("$.normalizer.type", "normalizer", """{"type":"NFC"}""")]
    [InlineData("$.normalizer.normalizers[1].type", "normalizer",
        """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Prepend","prepend":"▁"}]}""")]
    [InlineData("$.normalizer.prepend", "normalizer", """{"type":"Prepend","prepend":" "}""")]
    [InlineData("$.normalizer.pattern.Regex", "normalizer", """{"type":"Replace","pattern":{"Regex":" "},"content":"▁"}""")]
    [InlineData("$.normalizer.content", "normalizer", """{"type":"Replace","pattern":{"String":" "},"content":"_"}""")]
    [InlineData("$.pre_tokenizer.type", "pre_tokenizer", """{"type":"ByteLevel"}""")]
    [InlineData("$.pre_tokenizer.replacement", "pre_tokenizer", """{"type":"Metaspace","replacement":"_"}""")]
    [InlineData("$.pre_tokenizer.prepend_scheme", "pre_tokenizer", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"last"}""")]
    [InlineData("$.pre_tokenizer.add_prefix_space", "pre_tokenizer",
        """{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","add_prefix_space":true}""")]
    [InlineData("$.decoder", "decoder", "null")]
    [InlineData("$.decoder", "decoder", """{"type":"ByteFallback"}""")]
    [InlineData("$.decoder.decoders[1].type", "decoder",
        """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"Fuse"},{"type":"ByteFallback"}]}""")]
    [InlineData("$.decoder.decoders[3].start", "decoder",
        """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":2,"stop":0}]}""")]
    [InlineData("$.decoder.decoders[3].stop", "decoder",
        """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":1}]}""")]
    public void Parse_StageThatIsNotImplemented_IsRefusedByName(string field, string stage, string value) =>
        AssertRefused(field, document => document[stage] = JsonNode.Parse(value));

    [Fact]
    public void Parse_VocabularyWithoutAByte_IsRefused() => AssertRefused("$.model.vocab", document =>
    {
        document["model"]!["vocab"]!.AsObject().Remove("<0x7F>");
        document["model"]!["vocab"]!["qqq"] = FirstByteId + 0x7F;
    });

    [Fact]
    public void Parse_UnknownTokenThatIsNone_IsRefused() => AssertRefused("$.model.unk_token", document => document["model"]!["unk_token"] = "<nothing>");

    [Fact]
    public void Parse_NormalizedSpecialTokens_AreReadAndOthersRefused()
    {
        var ids = Create(document => document["added_tokens"]![1]!["normalized"] = true).Encode("<s>Tom", allowSpecial: true);
        Assert.Equal([Bos, .. Llama.Encode("Tom")], ids);

        AssertRefused("$.added_tokens[1].normalized", document =>
        {
            document["added_tokens"]![1]!["normalized"] = true;
            document["added_tokens"]![1]!["special"] = false;
        });
    }

    [Fact]
    public void Parse_TemplateThatAddsTokens_IsRefusedAsInOtherFiles()
    {
        var bytes = File.ReadAllBytes(Fixture("tokenizer.json"));

        Assert.Equal("$.post_processor.single", Assert.Throws<ModelPackageException>(() => Tokenizer.Parse(bytes)).Field);
    }

    [Fact]
    public void Parse_RandomDamage_OnlyEverRefuses() =>
        Mutations.Run(Encoding.UTF8.GetBytes(Document().ToJsonString()), seed: 41, count: 6_000, bytes => Tokenizer.Parse(bytes));

    private static string Stream(IncrementalDecoder decoder, int[] ids) => string.Concat(ids.Select(decoder.Append)) + decoder.Flush();

    private static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "fixtures", "sentencepiece", name);

    private static JsonElement Reference() => JsonDocument.Parse(File.ReadAllBytes(Fixture("reference.json"))).RootElement;

    /// <summary>The file as extending leaves it: without the token before every text.</summary>
    private static JsonObject Document()
    {
        var document = JsonNode.Parse(File.ReadAllBytes(Fixture("tokenizer.json")))!.AsObject();
        document["post_processor"] = null;
        return document;
    }

    private static Tokenizer Create(Action<JsonObject> change)
    {
        var document = Document();
        change(document);
        return Tokenizer.Parse(Encoding.UTF8.GetBytes(document.ToJsonString()));
    }

    private static void Vary(JsonObject document, JsonElement changes)
    {
        foreach (var change in changes.EnumerateObject())
        {
            var owner = change.Name == "ignore_merges" ? document["model"]! : document;
            owner[change.Name] = JsonNode.Parse(change.Value.GetRawText());
        }
    }

    private static void AssertRefused(string field, Action<JsonObject> change)
    {
        var refusal = Assert.Throws<ModelPackageException>(() => Create(change));
        Assert.Equal(("tokenizer.json", field), (refusal.File, refusal.Field));
    }
}
