using System.Text;
using Tessera.Models.Json;

namespace Tessera.Models;

/// <summary>Reads tokenizer.json. Whatever the file asks for and this build does not do is an error that names the field.</summary>
internal static class TokenizerFile
{
    /// <summary>A larger file is refused unread.</summary>
    public const int MaxBytes = 128 * 1024 * 1024;

    private const int MaxTokens = 1 << 22;
    private const int MaxTokenCharacters = 4096;

    /// <summary>Reads a document.</summary>
    /// <exception cref="ModelPackageException">It is not a tokenizer that this build implements in full.</exception>
    public static TokenizerParts Parse(string file, ReadOnlyMemory<byte> utf8)
    {
        var root = JsonField.Parse(file, utf8);
        root.RefuseUnknownKeys(
            "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model");
        RefuseUnlessNull(root, "truncation");
        RefuseUnlessNull(root, "padding");
        var added = ReadAddedTokens(root);
        var model = root.Required("model");
        CheckModelOptions(model);
        var hasByteFallback = HasByteFallback(model);
        var vocabulary = ReadVocabulary(model.Required("vocab"));
        CheckUnknownToken(model, vocabulary, hasByteFallback);
        var bytes = ReadBytes(model.Required("vocab"), vocabulary, added, hasByteFallback ? SentencePieceEncoder.BytesOf : ByteLevelAlphabet.BytesOf);
        foreach (var (token, _) in added.Where(entry => entry.Token.IsSpecial))
            vocabulary.Remove(token.Content);
        TokenizerPipeline.CheckPostProcessor(root);
        var parts = new TokenizerParts
        {
            Vocabulary = vocabulary,
            ByteIds = ReadByteIds(model.Required("vocab"), vocabulary, hasByteFallback ? SentencePieceEncoder.TokenOf : ByteLevelAlphabet.SpellingOf),
            Merges = ReadMerges(model, vocabulary),
            IgnoreMerges = model.Optional("ignore_merges")?.AsBool() ?? false,
            Bytes = bytes,
            Added = [.. added.Select(entry => entry.Token)],
        };
        return hasByteFallback ? parts with { SentencePiece = SentencePieceStages.Read(root) } : WithByteLevelStages(parts, root);
    }

    private static TokenizerParts WithByteLevelStages(TokenizerParts parts, JsonField root)
    {
        var normalized = TokenizerPipeline.ReadNormalizer(root);
        var (splitters, addPrefixSpace) = TokenizerPipeline.ReadPreTokenizer(root);
        TokenizerPipeline.CheckDecoder(root);
        return parts with { IsNormalized = normalized, Splitters = splitters, AddPrefixSpace = addPrefixSpace };
    }

    /// <summary>Whether the file is one of SentencePiece's: characters as tokens, and bytes for the others.</summary>
    private static bool HasByteFallback(JsonField model) => model.Optional("byte_fallback")?.AsBool() ?? false;

    private static void RefuseUnlessNull(JsonField owner, string name)
    {
        if (owner.Optional(name) is { } value)
            throw value.Fail("null (this build does not do it)");
    }

    private static void CheckModelOptions(JsonField model)
    {
        model.RefuseUnknownKeys(
            "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges");
        // Older files leave the type out; the keys then say that it is BPE.
        if (model.Optional("type") is { } type && type.AsString() != "BPE")
            throw type.Fail("\"BPE\"");
        if (model.Optional("dropout") is { } dropout && !dropout.IsZero)
            throw dropout.Fail("null or 0 (this build does not drop merges)");
        // Without an unknown token, or with one that bytes stand in for, there is nothing to fuse.
        _ = model.Optional("fuse_unk")?.AsBool();
        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.Optional(affix) is { } value && value.AsString().Length > 0)
                throw value.Fail("null or \"\" (this build does not do it)");
        }
    }

    /// <summary>Where every byte has a token nothing is unknown: then the unknown token is named in vain, and only must be there.</summary>
    private static void CheckUnknownToken(JsonField model, Dictionary<string, int> vocabulary, bool hasByteFallback)
    {
        if (model.Optional("unk_token") is not { } unknown)
            return;
        if (!hasByteFallback)
            throw unknown.Fail("null (this build does not do it)");
        if (!vocabulary.ContainsKey(unknown.AsString()))
            throw unknown.Fail("a token of the vocabulary");
    }

    private static List<(AddedToken Token, JsonField Field)> ReadAddedTokens(JsonField root)
    {
        var added = new List<(AddedToken, JsonField)>();
        var contents = new HashSet<string>(StringComparer.Ordinal);
        if (root.Optional("added_tokens") is not { } list)
            return added;
        foreach (var item in list.Items())
        {
            item.RefuseUnknownKeys("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
            foreach (var flag in (string[])["single_word", "lstrip", "rstrip"])
            {
                if (item.Optional(flag) is { } value && value.AsBool())
                    throw value.Fail("false (this build does not do it)");
            }

            var isSpecial = item.Optional("special")?.AsBool() ?? false;
            // Matched in the text as it is: with no normalizer that is the same, and with one it must be said so. Llama 2's files say it of their
            // special tokens, whose spelling a mark before it would break; those are never looked for in what a client wrote.
            if (root.Optional("normalizer") is not null && item.Optional("normalized") is { } normalized && normalized.AsBool()
                && !(isSpecial && root.Optional("model") is { } model && HasByteFallback(model)))
            {
                throw normalized.Fail("false, where there is a normalizer");
            }

            var content = item.Required("content");
            if (content.AsString().Length is 0 or > MaxTokenCharacters)
                throw content.Fail($"1 to {MaxTokenCharacters} characters", $"{content.AsString().Length}");
            if (!contents.Add(content.AsString()))
                throw content.Fail("every token once", $"{content.Describe()} again");
            added.Add((new AddedToken(item.Required("id").AsInt(0, MaxTokens - 1), content.AsString(), isSpecial), item));
        }

        return added;
    }

    private static Dictionary<string, int> ReadVocabulary(JsonField vocab)
    {
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (token, id) in vocab.Members())
        {
            if (token.Length is 0 or > MaxTokenCharacters)
                throw id.Fail($"a token of 1 to {MaxTokenCharacters} characters", $"{token.Length}");
            vocabulary.Add(token, id.AsInt(0, MaxTokens - 1));
        }

        return vocabulary;
    }

    /// <summary>Bytes by id. Ids must be the numbers from 0 without a gap, each for one token.</summary>
    private static byte[][] ReadBytes(
        JsonField vocab, Dictionary<string, int> vocabulary, List<(AddedToken Token, JsonField Field)> added, Func<string, byte[]?> bytesOf)
    {
        var tokens = new Dictionary<int, string>();
        foreach (var (token, id) in vocabulary)
        {
            if (!tokens.TryAdd(id, token))
                throw new ModelPackageException(vocab.File, vocab.PathOf(token), "an id of its own", $"{id}, which another token has");
        }

        foreach (var (token, field) in added)
        {
            if (vocabulary.TryGetValue(token.Content, out var id) && id != token.Id)
                throw field.Required("id").Fail($"{id}, as in the vocabulary");
            if (!tokens.TryAdd(token.Id, token.Content) && tokens[token.Id] != token.Content)
                throw field.Required("id").Fail("an id of its own", $"{token.Id}, which another token has");
        }

        var addedIds = added.Select(entry => entry.Token.Id).ToHashSet();
        var bytes = new byte[tokens.Count][];
        for (var id = 0; id < bytes.Length; id++)
        {
            if (!tokens.TryGetValue(id, out var token))
                throw vocab.Fail($"ids 0 to {bytes.Length - 1} without a gap", $"no token with id {id}");
            bytes[id] = addedIds.Contains(id)
                ? Encoding.UTF8.GetBytes(token)
                : bytesOf(token)
                    ?? throw new ModelPackageException(vocab.File, vocab.PathOf(token), "characters of the byte-level alphabet", "another character");
        }

        return bytes;
    }

    private static int[] ReadByteIds(JsonField vocab, Dictionary<string, int> vocabulary, Func<byte, string> spell)
    {
        var ids = new int[256];
        for (var value = 0; value < ids.Length; value++)
        {
            if (!vocabulary.TryGetValue(spell((byte)value), out ids[value]))
                throw vocab.Fail("a token for each byte", $"none for byte 0x{value:X2}");
        }

        return ids;
    }

    private static Dictionary<(int Left, int Right), Merge> ReadMerges(JsonField model, Dictionary<string, int> vocabulary)
    {
        var merges = new Dictionary<(int, int), Merge>();
        foreach (var item in model.Required("merges").Items())
        {
            var (left, right) = ReadPair(item);
            if (left.Length + right.Length > MaxTokenCharacters)
                throw item.Fail($"a token of at most {MaxTokenCharacters} characters", $"{left.Length + right.Length}");
            var merge = new Merge(merges.Count, IdOf(left + right));
            if (!merges.TryAdd((IdOf(left), IdOf(right)), merge))
                throw item.Fail("every merge once", $"{item.Describe()} again");

            int IdOf(string token) =>
                vocabulary.TryGetValue(token, out var id) ? id : throw item.Fail("tokens of the vocabulary that are not special", token);
        }

        return merges;
    }

    private static (string Left, string Right) ReadPair(JsonField item)
    {
        string[] parts = item.Element.ValueKind == System.Text.Json.JsonValueKind.String
            ? item.AsString().Split(' ')
            : [.. item.Items().Take(3).Select(part => part.AsString())];
        return parts.Length == 2 ? (parts[0], parts[1]) : throw item.Fail("two tokens", $"{item.Describe()}");
    }
}
