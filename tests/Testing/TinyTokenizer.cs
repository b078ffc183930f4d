using System.Text.Json.Nodes;

namespace Tessera.Testing;

/// <summary>
/// A tokenizer in the shipped format: <c>&lt;pad&gt;</c> 0, <c>&lt;eos&gt;</c> 1, the 256 bytes 2..257 (byte b has id 2 + b), words, the four
/// delimiters, latents. A word is one token, anything else its bytes.
/// </summary>
public static class TinyTokenizer
{
    /// <summary>Words with their leading space, in the order of their ids.</summary>
    public static IReadOnlyList<string> Words { get; } =
        [" Every", " Tom", " is a", " is not", " lemp", " wump", "us", "us.", " True", " False", " yes", " no", ".", "?"];

    /// <summary>Latents (K).</summary>
    public const int LatentCount = 4;

    /// <summary>Id of byte 0's token.</summary>
    public const int FirstByteId = 2;

    /// <summary>Text ids: specials, bytes and words.</summary>
    public static int TextVocabularySize => FirstByteId + 256 + Words.Count - SingleByteWords;

    /// <summary>Id of <c>&lt;think&gt;</c>; the other delimiters follow.</summary>
    public static int ThinkId => TextVocabularySize;

    /// <summary>Id of code 0.</summary>
    public static int FirstLatentId => TextVocabularySize + 4;

    /// <summary>All ids.</summary>
    public static int VocabularySize => FirstLatentId + LatentCount;

    // "." and "?" are bytes and have their ids already.
    private static int SingleByteWords => Words.Count(word => word.Length == 1);

    /// <summary>Special tokens in the order of their ids, pad and eos first.</summary>
    public static IReadOnlyList<string> SpecialTokens { get; } =
        ["<pad>", "<eos>", "<think>", "</think>", "<boLatent>", "<eoLatent>", .. Enumerable.Range(0, LatentCount).Select(code => $"<latent_{code}>")];

    /// <summary>Id of a word of <see cref="Words"/>, a special token, or a character below U+0080.</summary>
    public static int IdOf(string token)
    {
        var special = SpecialTokens.ToList().IndexOf(token);
        if (special >= 0)
            return special < 2 ? special : ThinkId + special - 2;
        if (token.Length == 1)
            return FirstByteId + token[0];
        var word = Words.Where(candidate => candidate.Length > 1).ToList().IndexOf(token);
        return word >= 0 ? FirstByteId + 256 + word : throw new ArgumentException($"No token '{token}'.", nameof(token));
    }

    /// <summary>The document, to be changed and written.</summary>
    public static JsonObject CreateDocument()
    {
        var vocabulary = new JsonObject { ["<pad>"] = 0, ["<eos>"] = 1 };
        for (var value = 0; value < 256; value++)
            vocabulary[Spell((byte)value).ToString()] = FirstByteId + value;
        foreach (var word in Words.Where(word => word.Length > 1))
            vocabulary[string.Concat(word.Select(c => Spell((byte)c)))] = IdOf(word);
        var added = new JsonArray();
        foreach (var token in SpecialTokens)
        {
            added.Add(new JsonObject
            {
                ["id"] = IdOf(token),
                ["content"] = token,
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            });
        }

        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = added,
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(CreateSplit(), CreateByteLevel()) },
            ["post_processor"] = null,
            ["decoder"] = CreateByteLevel(),
            ["model"] = CreateModel(vocabulary),
        };
    }

    /// <summary>A ByteLevel step that neither adds a space nor splits.</summary>
    public static JsonObject CreateByteLevel() =>
        new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = false };

    private static JsonObject CreateSplit() => new()
    {
        ["type"] = "Split",
        ["pattern"] = new JsonObject { ["Regex"] = " is (?:a|not)(?![A-Za-z])|us\\.?(?![A-Za-z])| ?(?:lemp|wump)(?=us)| ?[A-Za-z]+|[0-9]| ?[^ A-Za-z0-9]+| " },
        ["behavior"] = "Isolated",
        ["invert"] = false,
    };

    private static JsonObject CreateModel(JsonObject vocabulary) => new()
    {
        ["type"] = "BPE",
        ["dropout"] = null,
        ["unk_token"] = null,
        ["continuing_subword_prefix"] = null,
        ["end_of_word_suffix"] = null,
        ["fuse_unk"] = false,
        ["byte_fallback"] = false,
        ["ignore_merges"] = true,
        ["vocab"] = vocabulary,
        ["merges"] = new JsonArray(),
    };

    // Written apart from the reader's table: printable Latin-1 stands for itself, the others follow from U+0100.
    private static char Spell(byte value)
    {
        if (IsPrintable(value))
            return (char)value;
        return (char)(0x100 + Enumerable.Range(0, value).Count(other => !IsPrintable((byte)other)));
    }

    private static bool IsPrintable(byte value) => value is (>= 0x21 and <= 0x7E) or (>= 0xA1 and not 0xAD);
}
