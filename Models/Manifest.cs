using System.Text.Json.Serialization;

namespace Tessera.Models;

/// <summary>The checked description of a model package: the content of <c>tessera.json</c>. Property names are the JSON names in snake_case.</summary>
public sealed record Manifest
{
    /// <summary>The only format version this build reads and writes.</summary>
    public const int CurrentFormat = 1;

    /// <summary>Version of the package format.</summary>
    public required int Format { get; init; }

    /// <summary>Name under which the model is served, for example <c>tessera-logic-1m</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Version of the model.</summary>
    public required string Version { get; init; }

    /// <summary>SPDX licence of the weights.</summary>
    public required string License { get; init; }

    /// <summary>One or two sentences for people.</summary>
    public string Description { get; init; } = "";

    /// <summary>Shape of the decoder.</summary>
    public required Architecture Architecture { get; init; }

    /// <summary>Number formats of the decoder graph.</summary>
    public required Precision Precision { get; init; }

    /// <summary>Every file of the package but the manifest itself.</summary>
    public required IReadOnlyList<PackageFile> Files { get; init; }

    /// <summary>Content of the special tokens, as in tokenizer.json.</summary>
    public required SpecialTokens SpecialTokens { get; init; }

    /// <summary>Where the latents are in the vocabulary.</summary>
    public required LatentVocabulary Latents { get; init; }

    /// <summary>Codebook graphs; null for a model without hints.</summary>
    public Codebook? Codebook { get; init; }

    /// <summary>How messages become a prompt.</summary>
    public required ChatFormat Chat { get; init; }

    /// <summary>Defaults of sampling, overridden by a request.</summary>
    public SamplingDefaults Sampling { get; init; } = new();

    /// <summary>What the model was measured to do.</summary>
    public IReadOnlyList<EvaluationRow> Evaluation { get; init; } = [];

    /// <summary>Reads a manifest; see <see cref="ManifestJson.Parse(string)"/>.</summary>
    /// <exception cref="ModelPackageException">Names the JSON path, what was expected and what was found.</exception>
    public static Manifest Parse(string json) => ManifestJson.Parse(json);

    /// <summary>The document of this manifest; see <see cref="ManifestJson.Write"/>.</summary>
    public string Write() => ManifestJson.Write(this);
}

/// <summary>Shape of the decoder. All counts are positive.</summary>
public sealed record Architecture
{
    /// <summary>Model family, for example <c>llama</c> or <c>tessera_llama</c>.</summary>
    public required string Family { get; init; }

    /// <summary>Transformer layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>Query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Key and value heads.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>Elements per head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Elements of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the logits: text tokens, special tokens and latents.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Positions a sequence may have.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Base of the rotary embedding.</summary>
    public required double RopeTheta { get; init; }

    /// <summary>How the rotary embedding was stretched, for people, for example <c>llama3 x32</c>; empty when it was not. The graph has the tables.</summary>
    public string RopeScaling { get; init; } = "";

    /// <summary>Positions that a layer with a window looks back over, its own included; 0 when no layer has one.</summary>
    public int SlidingWindow { get; init; }

    /// <summary>How many previous ids' embeddings are added at the input; 0 = plain Llama. When positive the graph has the input <c>previous_ids</c> [B, n].</summary>
    public int NgramEmbeddings { get; init; }
}

/// <summary>Number formats of the decoder graph.</summary>
public sealed record Precision
{
    /// <summary>Weights: <c>fp32</c>, <c>int8</c>, <c>w8a8</c>, <c>int4</c> on a CPU; <c>fp16</c>, <c>bf16</c>, <c>int4</c> on CUDA.</summary>
    public required string Weights { get; init; }

    /// <summary>Keys and values: <c>f32</c>, <c>f16</c> or <c>int8</c> on a CPU; <c>f16</c> or <c>bf16</c> on CUDA.</summary>
    public required string Kv { get; init; }

    /// <summary>Weights that share a scale; 0 where it does not apply.</summary>
    public int BlockSize { get; init; }

    /// <summary>Device that the graph is written for: <c>cpu</c> or <c>cuda</c>.</summary>
    public string Device { get; init; } = "cpu";
}

/// <summary>One file of the package.</summary>
public sealed record PackageFile
{
    /// <summary>Path relative to the package folder, with forward slashes.</summary>
    public required string Path { get; init; }

    /// <summary>Exact size.</summary>
    public required long Bytes { get; init; }

    /// <summary>SHA-256 in lower-case hex.</summary>
    [JsonPropertyName("sha256")]
    public required string Sha256 { get; init; }
}

/// <summary>Content of the special tokens.</summary>
public sealed record SpecialTokens
{
    /// <summary>Padding, also what stands before the first position in n-gram embeddings.</summary>
    public required string Pad { get; init; }

    /// <summary>End of the sequence.</summary>
    public required string Eos { get; init; }

    /// <summary>Start of reasoning.</summary>
    public required string Think { get; init; }

    /// <summary>End of reasoning.</summary>
    public required string EndThink { get; init; }

    /// <summary>Start of a latent span.</summary>
    public required string BoLatent { get; init; }

    /// <summary>End of a latent span.</summary>
    public required string EoLatent { get; init; }

    /// <summary>JSON name and content of each.</summary>
    public IEnumerable<(string Name, string Content)> Named() =>
        [("pad", Pad), ("eos", Eos), ("think", Think), ("end_think", EndThink), ("bo_latent", BoLatent), ("eo_latent", EoLatent)];
}

/// <summary>Where the latents are in the vocabulary.</summary>
public sealed record LatentVocabulary
{
    /// <summary>Vocabulary id of code 0.</summary>
    public required int FirstId { get; init; }

    /// <summary>Number of codes (K).</summary>
    public required int Count { get; init; }

    /// <summary>Mean number of text tokens that one latent replaces, measured in training.</summary>
    public required double TextTokensPerLatent { get; init; }
}

/// <summary>Shape of the codebook graphs.</summary>
public sealed record Codebook
{
    /// <summary>Text tokens per chunk (L): width of one latent's hint.</summary>
    public required int ChunkTokens { get; init; }

    /// <summary>Shortest prompt the graphs take; shorter ones are padded on the left with the pad token.</summary>
    public required int MinPromptTokens { get; init; }

    /// <summary>Most latents of one span that the graphs take; later ones have no hint.</summary>
    public required int MaxCodes { get; init; }

    /// <summary>Width of the codebook decoder's logits (text vocabulary).</summary>
    public required int TextVocabularySize { get; init; }
}

/// <summary>Prefix and suffix per role: no templates are executed.</summary>
public sealed record ChatFormat
{
    /// <summary>Around a system message.</summary>
    public RoleFormat System { get; init; } = new();

    /// <summary>Around a user message.</summary>
    public RoleFormat User { get; init; } = new();

    /// <summary>Around an earlier assistant message.</summary>
    public RoleFormat Assistant { get; init; } = new();

    /// <summary>Whether leading white space of reasoning text and of the answer is left out of what a client sees.</summary>
    public bool StripLeadingSpace { get; init; }
}

/// <summary>What stands before and after one message.</summary>
public sealed record RoleFormat
{
    /// <summary>Text before the message; special tokens are recognised here.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>Text after the message; special tokens are recognised here.</summary>
    public string Suffix { get; init; } = "";
}

/// <summary>Defaults of sampling.</summary>
public sealed record SamplingDefaults
{
    /// <summary>0 = greedy.</summary>
    public float Temperature { get; init; }

    /// <summary>0 = off.</summary>
    public int TopK { get; init; }

    /// <summary>In (0, 1].</summary>
    public float TopP { get; init; } = 1;
}

/// <summary>What the model was measured to do on one task in one reasoning mode.</summary>
public sealed record EvaluationRow
{
    /// <summary>Task and data.</summary>
    public required string Task { get; init; }

    /// <summary>Reasoning mode, or the name of a baseline.</summary>
    public required string Mode { get; init; }

    /// <summary>Problems.</summary>
    public required int N { get; init; }

    /// <summary>Fraction right.</summary>
    public required double Accuracy { get; init; }

    /// <summary>Lower end of the 95 % interval.</summary>
    public double Low { get; init; }

    /// <summary>Upper end of the 95 % interval.</summary>
    public double High { get; init; }

    /// <summary>Mean generated tokens.</summary>
    public double MeanTokens { get; init; }

    /// <summary>Anything a reader must know.</summary>
    public string Note { get; init; } = "";
}
