using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Tessera.Models;
using Tessera.Protos.Onnx;

namespace Tessera.Testing;

/// <summary>
/// Writes a small valid model package whose every part can be changed first: <see cref="TinyTokenizer"/>, <see cref="TinyGraphs"/>, one layer.
/// The graphs run in ONNX Runtime: greedy decoding follows <see cref="Successors"/>.
/// </summary>
public sealed class PackageBuilder
{
    /// <summary>The manifest; its file list is filled in when the package is written.</summary>
    public Manifest Manifest { get; set; } = CreateManifest();

    /// <summary>The tokenizer document.</summary>
    public JsonObject Tokenizer { get; set; } = TinyTokenizer.CreateDocument();

    /// <summary>
    /// Which id the decoder says after which; an id that is not named is followed by itself. By default: <c>&lt;think&gt; &lt;boLatent&gt; latent_0
    /// latent_1 &lt;eoLatent&gt; " Every" " wump" "us." &lt;/think&gt; " True" &lt;eos&gt;</c>.
    /// </summary>
    public Dictionary<int, int> Successors { get; } = CreateSuccessors();

    /// <summary>Text ids of each code's hint.</summary>
    public List<IReadOnlyList<int>> Hints { get; } =
    [
        Ids(" Tom", " is a", " lemp", "us."),
        Ids(" Every", " wump", "us", " is a", " lemp", "us."),
        Ids(" Tom", " is not", " wump", "us."),
        Ids(" yes"),
    ];

    /// <summary>Changes the decoder graph before it is written.</summary>
    public Action<ModelProto> ChangeDecoder { get; set; } = static _ => { };

    /// <summary>Changes the codebook decoder graph before it is written.</summary>
    public Action<ModelProto> ChangeCodebookDecoder { get; set; } = static _ => { };

    /// <summary>Changes the codebook encoder graph before it is written.</summary>
    public Action<ModelProto> ChangeCodebookEncoder { get; set; } = static _ => { };

    /// <summary>More files, or other contents for the package's own; listed in the manifest.</summary>
    public Dictionary<string, byte[]> Files { get; } = new(StringComparer.Ordinal);

    /// <summary>Changes the manifest after the file list was filled in.</summary>
    public Func<Manifest, Manifest> ChangeManifest { get; set; } = static manifest => manifest;

    /// <summary>Changes the manifest's document just before it is written, for what the records cannot say.</summary>
    public Action<JsonObject> ChangeManifestDocument { get; set; } = static _ => { };

    /// <summary>Ids of tokens by content; see <see cref="TinyTokenizer.IdOf"/>.</summary>
    public static int[] Ids(params string[] tokens) => [.. tokens.Select(TinyTokenizer.IdOf)];

    /// <summary>Writes the package into a folder, which is created.</summary>
    /// <returns>The folder.</returns>
    public string Write(string directory)
    {
        var files = CreateFiles();
        foreach (var (path, content) in files)
        {
            var place = Path.Combine(directory, path);
            Directory.CreateDirectory(Path.GetDirectoryName(place)!);
            File.WriteAllBytes(place, content);
        }

        var manifest = ChangeManifest(Manifest with { Files = [.. files.Select(file => Entry(file.Key, file.Value))] });
        var document = JsonNode.Parse(manifest.Write())!.AsObject();
        ChangeManifestDocument(document);
        File.WriteAllText(Path.Combine(directory, ModelPackage.ManifestFileName), document.ToJsonString());
        return directory;
    }

    /// <summary>Writes the package into a folder and loads it.</summary>
    public ModelPackage Load(string directory) => ModelPackage.Load(Write(directory));

    /// <summary>The manifest's entry for a file.</summary>
    public static PackageFile Entry(string path, byte[] content) =>
        new() { Path = path, Bytes = content.Length, Sha256 = Convert.ToHexStringLower(SHA256.HashData(content)) };

    private SortedDictionary<string, byte[]> CreateFiles()
    {
        var files = new SortedDictionary<string, byte[]>(StringComparer.Ordinal)
        {
            [ModelPackage.TokenizerFileName] = Encoding.UTF8.GetBytes(Tokenizer.ToJsonString()),
            [ModelPackage.DecoderFileName] = Serialize(TinyGraphs.CreateDecoder(Manifest.Architecture), ChangeDecoder),
            [TinyGraphs.DecoderDataFileName] = TinyGraphs.CreateSuccessorTable(Manifest.Architecture.VocabularySize, Successors),
        };
        if (Manifest.Codebook is { } codebook)
        {
            files[ModelPackage.CodebookDecoderFileName] = Serialize(TinyGraphs.CreateCodebookDecoder(codebook, Hints), ChangeCodebookDecoder);
            files[ModelPackage.CodebookEncoderFileName] = Serialize(TinyGraphs.CreateCodebookEncoder(codebook, Manifest.Latents.Count), ChangeCodebookEncoder);
        }

        foreach (var (path, content) in Files)
            files[path] = content;
        return files;
    }

    private static byte[] Serialize(ModelProto model, Action<ModelProto> change)
    {
        change(model);
        return model.ToByteArray();
    }

    private static Dictionary<int, int> CreateSuccessors()
    {
        var path = Ids(
            "<think>", "<boLatent>", "<latent_0>", "<latent_1>", "<eoLatent>", " Every", " wump", "us.", "</think>", " True", "<eos>");
        return path.Zip(path.Skip(1)).ToDictionary(step => step.First, step => step.Second);
    }

    private static Manifest CreateManifest() => new()
    {
        Format = Manifest.CurrentFormat,
        Name = "tiny",
        Version = "1.0.0",
        License = "MIT",
        Description = "A model made of tables, for tests.",
        Architecture = new Architecture
        {
            Family = "llama",
            LayerCount = 1,
            HeadCount = 1,
            KvHeadCount = 1,
            HeadDim = 16,
            HiddenSize = 16,
            VocabularySize = TinyTokenizer.VocabularySize,
            MaxPositions = 256,
            RopeTheta = 10000,
        },
        Precision = new Precision { Weights = "fp32", Kv = "f32" },
        Files = [],
        SpecialTokens = new SpecialTokens
        {
            Pad = "<pad>",
            Eos = "<eos>",
            Think = "<think>",
            EndThink = "</think>",
            BoLatent = "<boLatent>",
            EoLatent = "<eoLatent>",
        },
        Latents = new LatentVocabulary { FirstId = TinyTokenizer.FirstLatentId, Count = TinyTokenizer.LatentCount, TextTokensPerLatent = 4.5 },
        Codebook = new Codebook
        {
            ChunkTokens = 8,
            MinPromptTokens = 4,
            MaxCodes = 16,
            TextVocabularySize = TinyTokenizer.TextVocabularySize,
        },
        Chat = new ChatFormat { System = new RoleFormat { Suffix = "\n" }, StripLeadingSpace = true },
        Evaluation = [new EvaluationRow { Task = "tiny", Mode = "latent", N = 10, Accuracy = 1, Low = 0.72, High = 1, MeanTokens = 11, Note = "by construction" }],
    };
}
