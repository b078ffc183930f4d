using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using Tessera.Exporter.Checkpoints;
using Tessera.Models;

namespace Tessera.Exporter.Extension;

/// <summary>A tokenizer.json with the delimiters and the latents as added tokens, behind the ids that it had.</summary>
internal sealed class ExtendedTokenizer
{
    private const string NewPad = "<pad>";
    private const long MaxTokenizerBytes = 128 << 20;

    private readonly IReadOnlyList<string> _delimiters;
    private readonly string? _bos;
    private readonly bool _addsLeadingSpace;

    private ExtendedTokenizer(JsonObject document, Tokenizer tokenizer, CheckpointConfig config, IReadOnlyList<string> delimiters, int latentCount)
    {
        Document = document;
        OldSize = tokenizer.VocabularySize;
        _addsLeadingSpace = tokenizer.AddsLeadingSpace;
        LatentCount = latentCount;
        _delimiters = delimiters;
        Eos = ContentOf(document, config.EndIds.Eos, "eos_token_id");
        _bos = RemoveTemplate(document);
        Pad = config.EndIds.Pad is { } pad && pad != config.EndIds.Eos ? ContentOf(document, pad, "pad_token_id") : NewPad;
        List<string> added = [.. delimiters, .. Enumerable.Range(0, latentCount).Select(code => $"<latent_{code}>")];
        if (Pad == NewPad && tokenizer.IdOf(NewPad) is null)
        {
            // Padding and the end of a sequence are two things here.
            PadId = OldSize;
            added.Insert(0, NewPad);
        }

        foreach (var content in added)
        {
            if (tokenizer.IdOf(content) is { } taken)
            {
                throw new ExportException(
                    ModelPackage.TokenizerFileName, "added_tokens", $"no token {content} yet (--delimiters gives the four delimiters other names)", $"id {taken}");
            }
        }

        Add(document, added, OldSize);
        FirstLatentId = OldSize + added.Count - latentCount;
        Size = OldSize + added.Count;
    }

    /// <summary>The new document.</summary>
    public JsonObject Document { get; }

    /// <summary>Ids that the tokenizer had.</summary>
    public int OldSize { get; }

    /// <summary>Ids that it has.</summary>
    public int Size { get; }

    /// <summary>Id of code 0.</summary>
    public int FirstLatentId { get; }

    /// <summary>Latents (K).</summary>
    public int LatentCount { get; }

    /// <summary>End of a sequence.</summary>
    public string Eos { get; }

    /// <summary>Padding.</summary>
    public string Pad { get; }

    /// <summary>Id of padding when the checkpoint had none.</summary>
    public int? PadId { get; }

    /// <summary>Reads a tokenizer and extends it.</summary>
    /// <exception cref="ExportException">It cannot be extended.</exception>
    /// <exception cref="ModelPackageException">It is not a tokenizer that this build reads.</exception>
    public static ExtendedTokenizer Create(string path, CheckpointConfig config, IReadOnlyList<string> delimiters, int latentCount)
    {
        if (delimiters.Count != 4 || delimiters.Distinct(StringComparer.Ordinal).Count() != 4 || delimiters.Any(string.IsNullOrWhiteSpace))
        {
            throw new ExportException("command line", "--delimiters", "four different texts", string.Join(' ', delimiters));
        }

        JsonFile.Open(path, MaxTokenizerBytes);
        return Create(File.ReadAllBytes(path), config, delimiters, latentCount);
    }

    /// <summary>The same for a file's content.</summary>
    public static ExtendedTokenizer Create(byte[] utf8, CheckpointConfig config, IReadOnlyList<string> delimiters, int latentCount)
    {
        var document = ParseObject(utf8);
        // What the reader refuses in a checkpoint's own post-processor is what the extension takes out; everything else it must take.
        var extended = document.DeepClone().AsObject();
        RemoveTemplate(extended);
        var tokenizer = Tokenizer.Parse(JsonSerializer.SerializeToUtf8Bytes(extended));
        if (tokenizer.VocabularySize > config.VocabularySize)
        {
            throw new ExportException(CheckpointConfig.FileName, "vocab_size", $"at least the tokenizer's {tokenizer.VocabularySize} ids", $"{config.VocabularySize}");
        }

        return new ExtendedTokenizer(document, tokenizer, config, delimiters, latentCount);
    }

    /// <summary>The tessera.json to begin with.</summary>
    public JsonObject Describe(ExtendRequest request) => new()
    {
        ["name"] = request.Name,
        ["version"] = "0.1.0",
        ["license"] = "unknown",
        ["description"] = "",
        ["limits"] = new JsonArray("The latents' rows are untrained."),
        ["special_tokens"] = new JsonObject
        {
            ["pad"] = Pad,
            ["eos"] = Eos,
            ["think"] = _delimiters[0],
            ["end_think"] = _delimiters[1],
            ["bo_latent"] = _delimiters[2],
            ["eo_latent"] = _delimiters[3],
        },
        ["latents"] = new JsonObject
        {
            ["first_id"] = FirstLatentId,
            ["count"] = LatentCount,
            ["text_tokens_per_latent"] = request.TextTokensPerLatent,
        },
        ["chat"] = new JsonObject
        {
            ["system"] = new JsonObject { ["prefix"] = "", ["suffix"] = "\n" },
            ["user"] = new JsonObject { ["prefix"] = _bos ?? "", ["suffix"] = "" },
            ["assistant"] = new JsonObject { ["prefix"] = "", ["suffix"] = "" },
            // An answer begins with the space that the tokenizer puts before every text.
            ["strip_leading_space"] = _addsLeadingSpace,
        },
        ["sampling"] = new JsonObject { ["temperature"] = 0.0 },
        ["evaluation"] = new JsonArray(),
    };

    private static string ContentOf(JsonObject document, int? id, string field)
    {
        var found = document["added_tokens"]?.AsArray().FirstOrDefault(token => id is not null && token?["id"]?.GetValue<int>() == id);
        return found is not null && found["special"]?.GetValue<bool>() == true
            ? found["content"]!.GetValue<string>()
            : throw new ExportException(CheckpointConfig.FileName, field, "the id of a special added token", id is null ? "nothing" : $"{id}");
    }

    private static JsonObject ParseObject(byte[] utf8)
    {
        if (!Utf8.IsValid(utf8))
        {
            throw new ExportException(ModelPackage.TokenizerFileName, "file", "UTF-8 text", "other bytes");
        }

        try
        {
            return JsonNode.Parse(utf8, null, new JsonDocumentOptions { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new ExportException(ModelPackage.TokenizerFileName, "file", "a JSON object", "another value");
        }
        catch (JsonException exception)
        {
            throw new ExportException(ModelPackage.TokenizerFileName, "file", "JSON with each key once", "something else", exception);
        }
        catch (InvalidOperationException exception)
        {
            throw new ExportException(ModelPackage.TokenizerFileName, "file", "keys of Unicode text", "a lone surrogate", exception);
        }
    }

    /// <summary>Takes out a post-processor that puts tokens before every text, and gives the first one back: the chat format says it from now on.</summary>
    private static string? RemoveTemplate(JsonObject document)
    {
        if (document["post_processor"] is not JsonObject processor)
        {
            return null;
        }

        var steps = IsOfType(processor, "Sequence") && processor["processors"] is JsonArray several ? [.. several] : (IReadOnlyList<JsonNode?>)[processor];
        var template = steps.OfType<JsonObject>().FirstOrDefault(step => IsOfType(step, "TemplateProcessing"));
        if (template?["single"] is not JsonArray { Count: >= 2 } single)
        {
            return null;
        }

        // What stays of a byte-level file's is its ByteLevel step; SentencePiece's files have none.
        document["post_processor"] = document["model"] is JsonObject model && model["byte_fallback"]?.GetValueKind() == JsonValueKind.True
            ? null
            : JsonNode.Parse("""{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}""");
        return single[0] is JsonObject first && first["SpecialToken"] is JsonObject token ? TextOf(token, "id") : null;
    }

    private static bool IsOfType(JsonObject step, string type) => TextOf(step, "type") == type;

    private static string? TextOf(JsonObject owner, string name)
    {
        if (owner[name] is not JsonValue value || value.GetValueKind() != JsonValueKind.String)
        {
            return null;
        }

        try
        {
            return value.GetValue<string>();
        }
        catch (InvalidOperationException exception)
        {
            throw new ExportException(ModelPackage.TokenizerFileName, "post_processor", "Unicode text", "a lone surrogate", exception);
        }
    }

    private static void Add(JsonObject document, List<string> contents, int firstId)
    {
        if (document["added_tokens"] is not JsonArray tokens)
        {
            document["added_tokens"] = tokens = [];
        }

        for (var i = 0; i < contents.Count; i++)
        {
            tokens.Add(new JsonObject
            {
                ["id"] = firstId + i,
                ["content"] = contents[i],
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            });
        }
    }
}
