using Tessera.Models.Json;

namespace Tessera.Models;

/// <summary>Where a Metaspace pre-tokenizer puts a mark before a text that begins with none.</summary>
internal enum PrefixScheme
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>At the very start of a text, not behind an added token.</summary>
    First,

    /// <summary>Before every stretch between added tokens.</summary>
    Always,
}

/// <summary>What decoding leaves out at the start of a whole text, since encoding put it there.</summary>
internal enum LeadingSpace
{
    /// <summary>Nothing.</summary>
    Kept,

    /// <summary>One space (a Strip decoder).</summary>
    OneDropped,

    /// <summary>The spaces of the first token (a Metaspace decoder).</summary>
    FirstTokenDropped,
}

/// <summary>What a SentencePiece file does around its merges. A space is the mark U+2581 in its vocabulary.</summary>
internal sealed record SentencePieceStages
{
    /// <summary>Stands for a space.</summary>
    public const char Mark = '\u2581';

    private const string MarkText = "\u2581";

    /// <summary>Whether a mark goes before every stretch of text, whatever that begins with (a Prepend normalizer).</summary>
    public required bool Prepends { get; init; }

    /// <summary>Whether spaces become marks.</summary>
    public required bool ReplacesSpaces { get; init; }

    /// <summary>Where the pre-tokenizer puts a mark.</summary>
    public required PrefixScheme Prefix { get; init; }

    /// <summary>Whether a piece ends where the next mark begins; else a stretch is one piece.</summary>
    public required bool SplitsAtMarks { get; init; }

    /// <summary>What decoding leaves out.</summary>
    public required LeadingSpace Leading { get; init; }

    /// <summary>Reads the stages of a file with byte fallback.</summary>
    /// <exception cref="ModelPackageException">One of them is not done here.</exception>
    public static SentencePieceStages Read(JsonField root)
    {
        var (prepends, replaces) = ReadNormalizer(root);
        var stages = new SentencePieceStages
        {
            Prepends = prepends,
            ReplacesSpaces = replaces,
            Prefix = PrefixScheme.Never,
            SplitsAtMarks = false,
            Leading = ReadDecoder(root),
        };
        if (root.Optional("pre_tokenizer") is not { } preTokenizer)
            return stages;
        var (prefix, splits) = ReadMetaspace(preTokenizer);
        return stages with { ReplacesSpaces = true, Prefix = prefix, SplitsAtMarks = splits };
    }

    /// <summary>A stretch of text as the vocabulary spells it.</summary>
    /// <param name="text">The stretch; not empty.</param>
    /// <param name="isStart">Whether the whole text begins with it.</param>
    public string Spell(string text, bool isStart)
    {
        if (Prepends)
            text = MarkText + text;
        if (ReplacesSpaces)
            text = text.Replace(' ', Mark);
        var prefixed = Prefix == PrefixScheme.Always || (Prefix == PrefixScheme.First && isStart);
        return prefixed && text[0] != Mark ? MarkText + text : text;
    }

    private static (bool Prepends, bool ReplacesSpaces) ReadNormalizer(JsonField root)
    {
        if (root.Optional("normalizer") is not { } normalizer)
            return (false, false);
        var (prepends, replaces) = (false, false);
        foreach (var step in Steps(normalizer, "normalizers"))
        {
            switch (TypeOf(step))
            {
                case "Prepend" when !prepends:
                    step.RefuseUnknownKeys("type", "prepend");
                    RequireText(step.Required("prepend"), MarkText);
                    prepends = true;
                    break;
                case "Replace" when !replaces:
                    RequireReplace(step, " ", MarkText);
                    replaces = true;
                    break;
                default:
                    throw step.Required("type").Fail("\"Prepend\" and \"Replace\", once each (the file has byte_fallback)");
            }
        }

        return (prepends, replaces);
    }

    private static (PrefixScheme Prefix, bool Splits) ReadMetaspace(JsonField step)
    {
        if (TypeOf(step) != "Metaspace")
            throw step.Required("type").Fail("\"Metaspace\", or null for the pre-tokenizer (the file has byte_fallback)");
        step.RefuseUnknownKeys("type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split");
        RequireText(step.Required("replacement"), MarkText);
        var splits = step.Optional("split")?.AsBool() ?? true;
        // Older files say it with a flag; where both are there they must agree.
        var flag = step.Optional("add_prefix_space");
        if (step.Optional("prepend_scheme") is not { } scheme)
            return (flag?.AsBool() ?? true ? PrefixScheme.Always : PrefixScheme.Never, splits);
        var prefix = scheme.AsString() switch
        {
            "always" => PrefixScheme.Always,
            "first" => PrefixScheme.First,
            "never" => PrefixScheme.Never,
            _ => throw scheme.Fail("\"always\", \"first\" or \"never\""),
        };
        return flag is { } given && given.AsBool() == (prefix == PrefixScheme.Never)
            ? throw given.Fail($"what prepend_scheme {scheme.Describe()} says")
            : (prefix, splits);
    }

    private static LeadingSpace ReadDecoder(JsonField root)
    {
        var decoder = root.Required("decoder");
        if (decoder.IsNull)
            throw decoder.Fail("a Metaspace decoder, or Replace, ByteFallback, Fuse and Strip (the file has byte_fallback)");
        if (TypeOf(decoder) == "Metaspace")
            return ReadMetaspace(decoder).Prefix == PrefixScheme.Never ? LeadingSpace.Kept : LeadingSpace.FirstTokenDropped;
        JsonField[] steps = [.. Steps(decoder, "decoders")];
        string[] types = ["Replace", "ByteFallback", "Fuse", "Strip"];
        if (steps.Length is < 3 or > 4)
            throw decoder.Fail("Replace, ByteFallback, Fuse and, where there is one, Strip", $"{steps.Length} decoders");
        for (var i = 0; i < steps.Length; i++)
        {
            if (TypeOf(steps[i]) != types[i])
                throw steps[i].Required("type").Fail($"\"{types[i]}\"");
        }

        RequireReplace(steps[0], MarkText, " ");
        steps[1].RefuseUnknownKeys("type");
        steps[2].RefuseUnknownKeys("type");
        return steps.Length == 3 ? LeadingSpace.Kept : ReadStrip(steps[3]);
    }

    private static LeadingSpace ReadStrip(JsonField step)
    {
        step.RefuseUnknownKeys("type", "content", "start", "stop");
        RequireText(step.Required("content"), " ");
        step.Required("stop").AsInt(0, 0);
        return step.Required("start").AsInt(0, 1) == 1 ? LeadingSpace.OneDropped : LeadingSpace.Kept;
    }

    private static void RequireReplace(JsonField step, string from, string to)
    {
        step.RefuseUnknownKeys("type", "pattern", "content");
        var pattern = step.Required("pattern");
        pattern.RefuseUnknownKeys("String");
        RequireText(pattern.Required("String"), from);
        RequireText(step.Required("content"), to);
    }

    private static void RequireText(JsonField field, string expected)
    {
        if (field.AsString() != expected)
            throw field.Fail($"\"{expected}\"");
    }

    private static string TypeOf(JsonField step) => step.Required("type").AsString();

    private static IEnumerable<JsonField> Steps(JsonField stage, string name)
    {
        if (TypeOf(stage) != "Sequence")
            return [stage];
        stage.RefuseUnknownKeys("type", name);
        return stage.Required(name).Items();
    }
}
