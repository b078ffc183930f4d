using Tessera.Models;

namespace Tessera.Exporter.Checkpoints;

/// <summary>What Training says about a model beside its weights: the checked content of a checkpoint's <c>tessera.json</c>.</summary>
internal sealed record CheckpointDescription
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "tessera.json";

    /// <summary>Name under which the model is served.</summary>
    public required string Name { get; init; }

    /// <summary>Version of the model.</summary>
    public required string Version { get; init; }

    /// <summary>SPDX licence of the weights.</summary>
    public required string License { get; init; }

    /// <summary>What it is and what it was trained on.</summary>
    public required string Description { get; init; }

    /// <summary>What it cannot do, one sentence each.</summary>
    public required IReadOnlyList<string> Limits { get; init; }

    /// <summary>Content of the special tokens.</summary>
    public required SpecialTokens SpecialTokens { get; init; }

    /// <summary>Where the latents are.</summary>
    public required LatentVocabulary Latents { get; init; }

    /// <summary>How messages become a prompt.</summary>
    public required ChatFormat Chat { get; init; }

    /// <summary>Defaults of sampling.</summary>
    public required SamplingDefaults Sampling { get; init; }

    /// <summary>What was measured.</summary>
    public required IReadOnlyList<EvaluationRow> Evaluation { get; init; }

    /// <summary>Reads and checks a checkpoint's tessera.json.</summary>
    /// <exception cref="ExportException">A field is missing or wrong.</exception>
    public static CheckpointDescription Read(string path)
    {
        if (!File.Exists(path))
        {
            throw new ExportException(
                FileName, "file", "the description that Training or `tessera-export extend` writes", $"nothing in {Path.GetDirectoryName(path)}");
        }

        var json = JsonFile.Open(path);
        return new CheckpointDescription
        {
            Name = json.Text("name"),
            Version = json.Text("version"),
            License = json.Text("license"),
            Description = json.Text("description", otherwise: ""),
            Limits = json.Texts("limits"),
            SpecialTokens = ReadSpecialTokens(json.Object("special_tokens")),
            Latents = ReadLatents(json.Object("latents")),
            Chat = ReadChat(json.OptionalObject("chat")),
            Sampling = ReadSampling(json.OptionalObject("sampling")),
            Evaluation = [.. json.Objects("evaluation").Select(ReadEvaluation)],
        };
    }

    private static SpecialTokens ReadSpecialTokens(JsonFile json) => new()
    {
        Pad = json.Text("pad"),
        Eos = json.Text("eos"),
        Think = json.Text("think"),
        EndThink = json.Text("end_think"),
        BoLatent = json.Text("bo_latent"),
        EoLatent = json.Text("eo_latent"),
    };

    private static LatentVocabulary ReadLatents(JsonFile json) => new()
    {
        FirstId = json.Int("first_id", 0, int.MaxValue),
        Count = json.Int("count", 1, 1 << 20),
        TextTokensPerLatent = json.Positive("text_tokens_per_latent"),
    };

    private static ChatFormat ReadChat(JsonFile json) => new()
    {
        System = ReadRole(json.OptionalObject("system")),
        User = ReadRole(json.OptionalObject("user")),
        Assistant = ReadRole(json.OptionalObject("assistant")),
        StripLeadingSpace = json.Flag("strip_leading_space", otherwise: false),
    };

    private static RoleFormat ReadRole(JsonFile json) => new() { Prefix = json.Text("prefix", otherwise: ""), Suffix = json.Text("suffix", otherwise: "") };

    private static SamplingDefaults ReadSampling(JsonFile json) => new()
    {
        Temperature = (float)json.NotNegative("temperature", otherwise: 0),
        TopK = json.Int("top_k", 0, int.MaxValue, otherwise: 0),
        TopP = (float)json.Positive("top_p", otherwise: 1),
    };

    private static EvaluationRow ReadEvaluation(JsonFile json) => new()
    {
        Task = json.Text("task"),
        Mode = json.Text("mode"),
        N = json.Int("n", 1, int.MaxValue),
        Accuracy = Fraction(json, "accuracy"),
        Low = Fraction(json, "low", otherwise: 0),
        High = Fraction(json, "high", otherwise: 1),
        MeanTokens = json.NotNegative("mean_tokens", otherwise: 0),
        Note = json.Text("note", otherwise: ""),
    };

    private static double Fraction(JsonFile json, string name, double? otherwise = null)
    {
        var value = json.NotNegative(name, otherwise);
        return value <= 1 ? value : throw json.Bad(name, "a fraction from 0 to 1");
    }
}
