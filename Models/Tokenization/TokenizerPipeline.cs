using System.Text.RegularExpressions;
using Tessera.Models.Json;

namespace Tessera.Models;

/// <summary>Reads the stages of a tokenizer.json around its model: normalizer, pre-tokenizer, post-processor, decoder.</summary>
internal static class TokenizerPipeline
{
    /// <summary>Whether the file asks for normalization form C.</summary>
    public static bool ReadNormalizer(JsonField root)
    {
        if (root.Optional("normalizer") is not { } normalizer)
            return false;
        var type = normalizer.Required("type");
        normalizer.RefuseUnknownKeys("type");
        if (type.AsString() != "NFC")
            throw type.Fail("\"NFC\", or null for the normalizer");
        return true;
    }

    /// <summary>Steps that cut a text into pieces, and whether a space goes before a text.</summary>
    public static (IReadOnlyList<TextSplitter> Splitters, bool AddPrefixSpace) ReadPreTokenizer(JsonField root)
    {
        var preTokenizer = root.Required("pre_tokenizer");
        if (preTokenizer.IsNull)
            throw preTokenizer.Fail("a ByteLevel pre-tokenizer");
        JsonField[] steps = TypeOf(preTokenizer) == "Sequence" ? [.. SequenceItems(preTokenizer, "pretokenizers")] : [preTokenizer];
        if (steps.Length == 0)
            throw preTokenizer.Fail("a ByteLevel pre-tokenizer", "an empty sequence");
        var splitters = steps[..^1].Select(ReadSplit).ToList();
        var byteLevel = ReadByteLevel(steps[^1]);
        // With steps before it the space would go before every piece.
        if (byteLevel.AddPrefixSpace && splitters.Count > 0)
            throw steps[^1].Fail("add_prefix_space false after a Split", "add_prefix_space true");
        if (byteLevel.UseRegex)
            splitters.Add(new TextSplitter(TextSplitter.ByteLevelPattern));
        return (splitters, byteLevel.AddPrefixSpace);
    }

    /// <summary>Refuses a post-processor that adds tokens.</summary>
    public static void CheckPostProcessor(JsonField root)
    {
        if (root.Optional("post_processor") is { } postProcessor)
            CheckPostProcessorStep(postProcessor);
    }

    /// <summary>Refuses any decoder but the byte-level one.</summary>
    public static void CheckDecoder(JsonField root)
    {
        var decoder = root.Required("decoder");
        if (decoder.IsNull)
            throw decoder.Fail("a ByteLevel decoder");
        JsonField[] steps = TypeOf(decoder) == "Sequence" ? [.. SequenceItems(decoder, "decoders")] : [decoder];
        if (steps.Length != 1)
            throw decoder.Fail("one ByteLevel decoder", $"{steps.Length} decoders");
        ReadByteLevel(steps[0]);
    }

    private static void CheckPostProcessorStep(JsonField step)
    {
        switch (TypeOf(step))
        {
            case "ByteLevel":
                // It only trims offsets, which nobody here asks for.
                ReadByteLevel(step);
                break;
            case "Sequence":
                foreach (var item in SequenceItems(step, "processors"))
                    CheckPostProcessorStep(item);
                break;
            case "TemplateProcessing":
                var items = step.Required("single").Items().ToArray();
                if (items.Length != 1 || items[0].Optional("Sequence") is null)
                    throw step.Required("single").Fail("the text alone (this build adds no tokens)", $"{items.Length} items that are not one Sequence");
                break;
            default:
                throw step.Required("type").Fail("ByteLevel, or TemplateProcessing that adds nothing");
        }
    }

    private static TextSplitter ReadSplit(JsonField step)
    {
        if (TypeOf(step) == "Digits")
        {
            step.RefuseUnknownKeys("type", "individual_digits");
            return new TextSplitter(step.Optional("individual_digits")?.AsBool() == true ? @"\p{N}" : @"\p{N}+");
        }

        if (TypeOf(step) != "Split")
            throw step.Required("type").Fail("\"Split\" or \"Digits\" (and ByteLevel as the last step)");
        step.RefuseUnknownKeys("type", "pattern", "behavior", "invert");
        var behavior = step.Required("behavior");
        if (behavior.AsString() != "Isolated")
            throw behavior.Fail("\"Isolated\"");
        // Matches and the text between them are pieces alike, so that turning them round changes nothing.
        _ = step.Optional("invert")?.AsBool();
        var pattern = step.Required("pattern");
        pattern.RefuseUnknownKeys("Regex", "String");
        if (pattern.Optional("String") is { } literal)
            return literal.AsString().Length > 0 ? Compile(literal, Regex.Escape(literal.AsString())) : throw literal.Fail("a text", "an empty one");
        var regex = pattern.Required("Regex");
        return PatternSyntax.Unsupported(regex.AsString()) is { } unsupported
            ? throw regex.Fail("a pattern without word classes, anchors and nested classes", unsupported)
            : Compile(regex, regex.AsString());
    }

    private static TextSplitter Compile(JsonField field, string pattern)
    {
        if (pattern.Any(char.IsSurrogate))
            throw field.Fail("characters of the basic multilingual plane", "another character");
        try
        {
            return new TextSplitter(pattern);
        }
        catch (ArgumentException exception)
        {
            throw new ModelPackageException(field.File, field.Path, "a regular expression", $"another text ({exception.Message})", exception);
        }
    }

    private static (bool AddPrefixSpace, bool UseRegex) ReadByteLevel(JsonField step)
    {
        if (TypeOf(step) != "ByteLevel")
            throw step.Required("type").Fail("\"ByteLevel\"");
        step.RefuseUnknownKeys("type", "add_prefix_space", "trim_offsets", "use_regex");
        _ = step.Optional("trim_offsets")?.AsBool();
        return (step.Optional("add_prefix_space")?.AsBool() ?? true, step.Optional("use_regex")?.AsBool() ?? true);
    }

    private static string TypeOf(JsonField step) => step.Required("type").AsString();

    private static IEnumerable<JsonField> SequenceItems(JsonField sequence, string name)
    {
        sequence.RefuseUnknownKeys("type", name);
        return sequence.Required(name).Items();
    }
}
