using Tessera.Models.Packaging;
using Tessera.Protos.Onnx;

namespace Tessera.Models;

/// <summary>A model package whose every part was checked: manifest, files and hashes, containment of external data, tokenizer, vocabulary.</summary>
public sealed class ModelPackage
{
    /// <summary>Name of the manifest inside the package folder.</summary>
    public const string ManifestFileName = "tessera.json";

    /// <summary>Name of the decoder graph.</summary>
    public const string DecoderFileName = "decoder.onnx";

    /// <summary>Name of the codebook decoder graph (codes to text).</summary>
    public const string CodebookDecoderFileName = "codebook-decoder.onnx";

    /// <summary>Name of the codebook encoder graph (text to codes).</summary>
    public const string CodebookEncoderFileName = "codebook-encoder.onnx";

    /// <summary>Name of the tokenizer.</summary>
    public const string TokenizerFileName = "tokenizer.json";

    private ModelPackage(string directory, Manifest manifest, Tokenizer tokenizer, ExtendedVocabulary vocabulary)
    {
        Directory = directory;
        Manifest = manifest;
        Tokenizer = tokenizer;
        Vocabulary = vocabulary;
    }

    /// <summary>Full path of the package folder.</summary>
    public string Directory { get; }

    /// <summary>The description.</summary>
    public Manifest Manifest { get; }

    /// <summary>The tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Special ids and latents.</summary>
    public ExtendedVocabulary Vocabulary { get; }

    /// <summary>Full path of the decoder graph.</summary>
    public string DecoderPath => Path.Combine(Directory, DecoderFileName);

    /// <summary>Full path of the codebook decoder graph.</summary>
    public string CodebookDecoderPath => Path.Combine(Directory, CodebookDecoderFileName);

    /// <summary>Full path of the codebook encoder graph.</summary>
    public string CodebookEncoderPath => Path.Combine(Directory, CodebookEncoderFileName);

    /// <summary>Loads and checks a package; nothing is given to the runtime before all checks passed.</summary>
    /// <param name="directory">The package folder.</param>
    /// <exception cref="ModelPackageException">Names file, field, expected and found.</exception>
    public static ModelPackage Load(string directory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        var folder = Path.GetFullPath(directory);
        if (!System.IO.Directory.Exists(folder))
            throw new ModelPackageException(ManifestFileName, "package", $"a folder at {directory}", File.Exists(folder) ? "a file" : "nothing");
        PackageFiles.CheckPlace(folder, ManifestFileName);
        var manifest = ManifestJson.Parse(PackageFileReader.ReadAll(Path.Combine(folder, ManifestFileName), ManifestFileName, ManifestJson.MaxBytes));
        PackageFiles.Check(folder, manifest.Files);
        var tokenizer = Tokenizer.Load(Path.Combine(folder, TokenizerFileName));
        var vocabulary = VocabularyRules.Create(manifest, tokenizer);
        CheckGraphs(folder, manifest);
        return new ModelPackage(folder, manifest, tokenizer, vocabulary);
    }

    /// <summary>Ids of a chat in this package's chat format, ready for <c>&lt;think&gt;</c>; message text never yields special tokens.</summary>
    /// <param name="messages">Role (system, user, assistant) and text, oldest first.</param>
    /// <exception cref="ArgumentException">A role is none of the three.</exception>
    public int[] EncodeChat(IReadOnlyList<ChatTurn> messages)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return ChatEncoder.Encode(Tokenizer, Manifest.Chat, messages);
    }

    private static void CheckGraphs(string folder, Manifest manifest)
    {
        var sizes = manifest.Files.ToDictionary(file => file.Path, file => file.Bytes, StringComparer.Ordinal);
        GraphContract.CheckDecoder(Parse(DecoderFileName), manifest.Architecture, manifest.Precision.Kv);
        if (manifest.Codebook is not { } codebook)
            return;
        GraphContract.CheckCodebookDecoder(Parse(CodebookDecoderFileName), codebook);
        GraphContract.CheckCodebookEncoder(Parse(CodebookEncoderFileName));

        GraphProto Parse(string name) =>
            GraphFile.Parse(name, PackageFileReader.ReadAll(Path.Combine(folder, name), name, GraphFile.MaxBytes), sizes).Graph;
    }
}

/// <summary>One message of a chat.</summary>
/// <param name="Role">system, user or assistant.</param>
/// <param name="Content">Its text.</param>
public sealed record ChatTurn(string Role, string Content);
