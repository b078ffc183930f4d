using System.Text.RegularExpressions;
using Tessera.Models.Packaging;

namespace Tessera.Models;

/// <summary>What must hold within a manifest whose keys and types are right.</summary>
internal static partial class ManifestRules
{
    private const int MaxCount = 1 << 24;
    private const int MaxLayers = 1024;
    private const int MaxHeads = 4096;
    private const int MaxNgrams = 16;
    private const int MaxFiles = 4096;

    /// <summary>Throws for the first thing that is wrong.</summary>
    public static void Check(Manifest manifest)
    {
        Require(NamePattern().IsMatch(manifest.Name), "$.name", "1 to 128 of letters, digits, '.', '_', '-', beginning with a letter or digit", manifest.Name);
        RequireText(manifest.Version, "$.version");
        RequireText(manifest.License, "$.license");
        CheckArchitecture(manifest.Architecture);
        CheckPrecision(manifest.Precision);
        CheckFiles(manifest);
        CheckSpecialTokens(manifest.SpecialTokens);
        CheckLatents(manifest.Latents, manifest.Architecture);
        if (manifest.Codebook is { } codebook)
            CheckCodebook(codebook, manifest);
        CheckSampling(manifest.Sampling);
        for (var i = 0; i < manifest.Evaluation.Count; i++)
            CheckEvaluation(manifest.Evaluation[i], $"$.evaluation[{i}]");
    }

    private static void CheckArchitecture(Architecture architecture)
    {
        const string Path = "$.architecture";
        RequireText(architecture.Family, $"{Path}.family");
        RequireCount(architecture.LayerCount, $"{Path}.layer_count", MaxLayers);
        RequireCount(architecture.HeadCount, $"{Path}.head_count", MaxHeads);
        RequireCount(architecture.KvHeadCount, $"{Path}.kv_head_count", MaxHeads);
        RequireCount(architecture.HeadDim, $"{Path}.head_dim", MaxHeads);
        RequireCount(architecture.HiddenSize, $"{Path}.hidden_size", MaxCount);
        RequireCount(architecture.VocabularySize, $"{Path}.vocabulary_size", MaxCount);
        RequireCount(architecture.MaxPositions, $"{Path}.max_positions", MaxCount);
        RequireCount(architecture.SlidingWindow, $"{Path}.sliding_window", MaxCount, min: 0);
        RequireCount(architecture.NgramEmbeddings, $"{Path}.ngram_embeddings", MaxNgrams, min: 0);
        Require(
            architecture.HeadCount % architecture.KvHeadCount == 0,
            $"{Path}.kv_head_count", $"a divisor of head_count = {architecture.HeadCount}", $"{architecture.KvHeadCount}");
        // Rotary embedding turns pairs.
        Require(architecture.HeadDim % 2 == 0, $"{Path}.head_dim", "an even number", $"{architecture.HeadDim}");
        Require(
            double.IsFinite(architecture.RopeTheta) && architecture.RopeTheta > 0,
            $"{Path}.rope_theta", "a positive number", $"{architecture.RopeTheta}");
    }

    private static void CheckPrecision(Precision precision)
    {
        const string Path = "$.precision";
        Require(precision.Device is "cpu" or "cuda", $"{Path}.device", "cpu or cuda", precision.Device);
        string[] weights = precision.Device == "cpu" ? ["fp32", "int8", "w8a8", "int4"] : ["fp16", "bf16", "int4"];
        Require(weights.Contains(precision.Weights), $"{Path}.weights", string.Join(", ", weights), precision.Weights);
        string[] kv = precision.Device == "cpu" ? ["f32", "f16", "int8"] : ["f16", "bf16"];
        Require(kv.Contains(precision.Kv), $"{Path}.kv", string.Join(", ", kv), precision.Kv);
        RequireCount(precision.BlockSize, $"{Path}.block_size", MaxHeads, min: 0);
    }

    private static void CheckFiles(Manifest manifest)
    {
        var files = manifest.Files;
        Require(files.Count <= MaxFiles, "$.files", $"at most {MaxFiles} files", $"{files.Count}");
        // Ordinal, ignoring case: two such names are one file on some systems.
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        for (var i = 0; i < files.Count; i++)
        {
            var file = files[i];
            var path = $"$.files[{i}]";
            Require(PackagePath.IsContained(file.Path), $"{path}.path", PackagePath.Rule, file.Path);
            Require(file.Path != ModelPackage.ManifestFileName, $"{path}.path", "a file other than the manifest", file.Path);
            Require(seen.Add(file.Path), $"{path}.path", "every file once", $"{file.Path} again");
            Require(file.Bytes > 0, $"{path}.bytes", "a positive size", $"{file.Bytes}");
            Require(HashPattern().IsMatch(file.Sha256), $"{path}.sha256", "64 lower-case hexadecimal digits", file.Sha256);
        }

        string[] needed = manifest.Codebook is null
            ? [ModelPackage.TokenizerFileName, ModelPackage.DecoderFileName]
            : [ModelPackage.TokenizerFileName, ModelPackage.DecoderFileName, ModelPackage.CodebookDecoderFileName, ModelPackage.CodebookEncoderFileName];
        foreach (var name in needed)
            Require(files.Any(file => file.Path == name), "$.files", $"an entry for {name}", "none");
    }

    private static void CheckSpecialTokens(SpecialTokens tokens)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, content) in tokens.Named())
        {
            RequireText(content, $"$.special_tokens.{name}");
            Require(seen.Add(content), $"$.special_tokens.{name}", "a token of its own", $"{content} again");
        }
    }

    private static void CheckLatents(LatentVocabulary latents, Architecture architecture)
    {
        const string Path = "$.latents";
        RequireCount(latents.FirstId, $"{Path}.first_id", MaxCount, min: 0);
        RequireCount(latents.Count, $"{Path}.count", MaxCount);
        Require(
            latents.FirstId + latents.Count <= architecture.VocabularySize,
            Path, $"ids below vocabulary_size = {architecture.VocabularySize}", $"first_id {latents.FirstId} + count {latents.Count}");
        Require(
            double.IsFinite(latents.TextTokensPerLatent) && latents.TextTokensPerLatent > 0,
            $"{Path}.text_tokens_per_latent", "a positive number", $"{latents.TextTokensPerLatent}");
    }

    private static void CheckCodebook(Codebook codebook, Manifest manifest)
    {
        const string Path = "$.codebook";
        RequireCount(codebook.ChunkTokens, $"{Path}.chunk_tokens", MaxCount);
        RequireCount(codebook.MinPromptTokens, $"{Path}.min_prompt_tokens", MaxCount, min: 0);
        RequireCount(codebook.MaxCodes, $"{Path}.max_codes", MaxCount);
        RequireCount(codebook.TextVocabularySize, $"{Path}.text_vocabulary_size", MaxCount);
        Require(
            codebook.TextVocabularySize <= manifest.Latents.FirstId,
            $"{Path}.text_vocabulary_size", $"at most latents.first_id = {manifest.Latents.FirstId}", $"{codebook.TextVocabularySize}");
    }

    private static void CheckSampling(SamplingDefaults sampling)
    {
        const string Path = "$.sampling";
        Require(sampling.Temperature >= 0, $"{Path}.temperature", "zero or more", $"{sampling.Temperature}");
        Require(sampling.TopK >= 0, $"{Path}.top_k", "zero or more", $"{sampling.TopK}");
        Require(sampling.TopP is > 0 and <= 1, $"{Path}.top_p", "above 0 and at most 1", $"{sampling.TopP}");
    }

    private static void CheckEvaluation(EvaluationRow row, string path)
    {
        RequireText(row.Task, $"{path}.task");
        RequireText(row.Mode, $"{path}.mode");
        RequireCount(row.N, $"{path}.n", int.MaxValue);
        Require(row.Accuracy is >= 0 and <= 1, $"{path}.accuracy", "0 to 1", $"{row.Accuracy}");
        Require(row.Low is >= 0 and <= 1, $"{path}.low", "0 to 1", $"{row.Low}");
        Require(row.High is >= 0 and <= 1, $"{path}.high", "0 to 1", $"{row.High}");
        Require(row.MeanTokens >= 0, $"{path}.mean_tokens", "zero or more", $"{row.MeanTokens}");
    }

    private static void RequireCount(int value, string path, int max, int min = 1) =>
        Require(value >= min && value <= max, path, $"{min} to {max}", $"{value}");

    private static void RequireText(string value, string path) =>
        Require(!string.IsNullOrWhiteSpace(value), path, "a text", "an empty one");

    private static void Require(bool holds, string path, string expected, string found)
    {
        if (!holds)
            throw new ModelPackageException(ModelPackage.ManifestFileName, path, expected, found);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"\A[0-9a-f]{64}\z", RegexOptions.CultureInvariant)]
    private static partial Regex HashPattern();
}
