using System.Text;
using System.Text.Json.Nodes;
using Tessera.Testing;
using static Tessera.Models.Tests.Tokenization.TokenizerTests;

namespace Tessera.Models.Tests.Tokenization;

public sealed class BytePairTests
{
    // Rank order decides: "ab" before "bc", so that "abc" is "ab" + "c"; "aab" needs "a" + "ab" merged last.
    private static readonly string[] Merges = ["a b", "b c", "a ab", "ab ab", "abab abab", "x x", "xx xx"];

    [Theory]
    [InlineData("abc", "ab", "c")]
    [InlineData("bc", "bc")]
    [InlineData("aab", "aab")]
    [InlineData("abab", "abab")]
    [InlineData("ababab", "abab", "ab")]
    [InlineData("abababab", "abababab")]
    [InlineData("xxx", "xx", "x")]
    [InlineData("xxxxx", "xxxx", "x")]
    [InlineData("cba", "c", "b", "a")]
    public void Encode_Merges_FollowRankThenPlace(string text, params string[] expected)
    {
        var tokenizer = CreateWithMerges(static pair => pair);

        Assert.Equal(expected, tokenizer.Encode(text).Select(id => tokenizer.Decode([id])));
    }

    [Fact]
    public void Encode_MergesAsPairs_AreReadLikeMergesAsText()
    {
        var tokenizer = CreateWithMerges(static pair => new JsonArray([.. pair.GetValue<string>().Split(' ').Select(part => JsonValue.Create(part))]));

        Assert.Equal(["abab", "c"], tokenizer.Encode("ababc").Select(id => tokenizer.Decode([id])));
    }

    [Fact]
    public void Encode_IgnoreMerges_TakesAWholePieceThatNoMergeMakes()
    {
        var with = CreateWithMerges(static pair => pair, ignoreMerges: true, extra: "cba");
        var without = CreateWithMerges(static pair => pair, ignoreMerges: false, extra: "cba");

        Assert.Equal(["cba"], with.Encode("cba").Select(id => with.Decode([id])));
        Assert.Equal(["c", "b", "a"], without.Encode("cba").Select(id => without.Decode([id])));
    }

    [Fact]
    public void Encode_RandomWords_EqualMergingByHand()
    {
        var tokenizer = CreateWithMerges(static pair => pair);
        var random = new Random(3);
        for (var i = 0; i < 2_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 20)).Select(_ => "abcx"[random.Next(4)]));
            Assert.Equal(MergeByHand(text), tokenizer.Encode(text).Select(id => tokenizer.Decode([id])));
        }
    }

    [Fact]
    public void Encode_OneWordOf100000Characters_IsLossless()
    {
        var tokenizer = CreateWithMerges(static pair => pair);
        var text = string.Concat(Enumerable.Repeat("ab", 50_000));

        var ids = tokenizer.Encode(text);

        Assert.Equal(12_500, ids.Length);
        Assert.Equal(text, tokenizer.Decode(ids));
    }

    private static List<string> MergeByHand(string text)
    {
        var parts = text.Select(c => c.ToString()).ToList();
        while (true)
        {
            var best = Merges.FirstOrDefault(merge => Enumerable.Range(0, parts.Count - 1).Any(i => $"{parts[i]} {parts[i + 1]}" == merge));
            if (best is null)
                return parts;
            var at = Enumerable.Range(0, parts.Count - 1).First(i => $"{parts[i]} {parts[i + 1]}" == best);
            parts[at] += parts[at + 1];
            parts.RemoveAt(at + 1);
        }
    }

    private static Tokenizer CreateWithMerges(Func<JsonNode, JsonNode> form, bool ignoreMerges = false, string? extra = null) => Create(document =>
    {
        SetPreTokenizer(document, TinyTokenizer.CreateByteLevel());
        document["added_tokens"] = new JsonArray();
        var vocabulary = new JsonObject();
        for (var value = 0; value < 256; value++)
            vocabulary[Tiny(value)] = value;
        foreach (var token in Merges.Select(merge => merge.Replace(" ", "", StringComparison.Ordinal)).Concat(extra is null ? [] : [extra]))
            vocabulary[token] = vocabulary.Count;
        document["model"]!["vocab"] = vocabulary;
        document["model"]!["ignore_merges"] = ignoreMerges;
        document["model"]!["merges"] = new JsonArray([.. Merges.Select(merge => form(JsonValue.Create(merge)!))]);
    });

    // The shipped alphabet, taken from the shared document: byte b has id 2 + b there.
    private static string Tiny(int value) => Alphabet[value];

    private static readonly string[] Alphabet =
        [.. TinyTokenizer.CreateDocument()["model"]!["vocab"]!.AsObject().Skip(TinyTokenizer.FirstByteId).Take(256).Select(entry => entry.Key)];
}
