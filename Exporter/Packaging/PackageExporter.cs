using System.Security.Cryptography;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Verification;
using Tessera.Exporter.Weights;
using Tessera.Models;

namespace Tessera.Exporter.Packaging;

/// <summary>What an export is made of.</summary>
/// <param name="Checkpoint">Folder with config.json, model.safetensors, tokenizer.json, tessera.json and, where there is one, reference.safetensors.</param>
/// <param name="Codebook">Folder with codebook.json and codebook.safetensors; null for a model without hints.</param>
/// <param name="Output">The package folder to make.</param>
/// <param name="Force">Whether a package that is already there is replaced.</param>
internal sealed record ExportRequest(string Checkpoint, string? Codebook, string Output, bool Force)
{
    /// <summary>Number formats of the decoder.</summary>
    public DecoderPrecision Precision { get; init; } = DecoderPrecision.Fp32;

    /// <summary>Positions of a sequence; null for the checkpoint's own.</summary>
    public int? MaxPositions { get; init; }

    /// <summary>Text file whose lines show the range of keys and values, for a cache in 8 bits; null for the sequences of the reference.</summary>
    public string? Calibration { get; init; }
}

/// <summary>Turns a checkpoint into a model package.</summary>
internal sealed class PackageExporter
{
    private readonly ExportRequest _request;
    private readonly Action<string, int, int> _progress;
    private readonly CancellationToken _cancellationToken;
    private readonly CheckpointConfig _config;
    private readonly CheckpointDescription _description;
    private readonly CodebookConfig? _codebook;

    private PackageExporter(ExportRequest request, Action<string, int, int> progress, CancellationToken cancellationToken)
    {
        _request = request;
        _progress = progress;
        _cancellationToken = cancellationToken;
        var config = CheckpointConfig.Read(Path.Combine(request.Checkpoint, CheckpointConfig.FileName));
        _config = request.MaxPositions is { } positions ? config.WithPositions(positions) : config;
        _description = CheckpointDescription.Read(Path.Combine(request.Checkpoint, CheckpointDescription.FileName));
        _codebook = request.Codebook is null ? null : CodebookConfig.Read(Path.Combine(request.Codebook, CodebookConfig.FileName));
    }

    /// <summary>Exports; the package is complete and checked, or not there at all.</summary>
    /// <param name="request">What to export.</param>
    /// <param name="progress">Gets the stage, what of it is done, and how much there is.</param>
    /// <param name="cancellationToken">Ends the export; nothing is left then.</param>
    /// <returns>The manifest.</returns>
    /// <exception cref="ExportException">The checkpoint cannot be exported.</exception>
    /// <exception cref="ModelPackageException">The checkpoint makes no valid package (its tokenizer or latents disagree with it).</exception>
    public static Manifest Export(ExportRequest request, Action<string, int, int> progress, CancellationToken cancellationToken)
    {
        var exporter = new PackageExporter(request, progress, cancellationToken);
        exporter.CheckAgreement();
        using var folder = OutputFolder.Create(request.Output, request.Force);
        var manifest = folder.Fill(exporter.Write);
        progress("check", 0, 1);
        ModelPackage.Load(folder.WorkPath);
        progress("check", 1, 1);
        cancellationToken.ThrowIfCancellationRequested();
        folder.Commit();
        return manifest;
    }

    private void CheckAgreement()
    {
        var latents = _description.Latents;
        if (latents.FirstId + (long)latents.Count > _config.VocabularySize)
        {
            throw new ExportException(
                CheckpointDescription.FileName,
                "latents",
                $"ids below vocab_size {_config.VocabularySize} of {CheckpointConfig.FileName}",
                $"{latents.FirstId} to {latents.FirstId + (long)latents.Count - 1}");
        }

        if (_codebook is null)
        {
            return;
        }

        if (_codebook.CodeCount != latents.Count)
        {
            throw new ExportException(
                CodebookConfig.FileName, "codes", $"latents.count of {CheckpointDescription.FileName} ({latents.Count})", $"{_codebook.CodeCount}");
        }

        if (_codebook.TextVocabularySize > latents.FirstId)
        {
            throw new ExportException(
                CodebookConfig.FileName,
                "text_vocab_size",
                $"at most latents.first_id of {CheckpointDescription.FileName} ({latents.FirstId})",
                $"{_codebook.TextVocabularySize}");
        }
    }

    private Manifest Write(string folder)
    {
        Copy(ModelPackage.TokenizerFileName, folder, required: true);
        WriteDecoder(folder);
        WriteCodebook(folder);
        Copy(ReferenceFile.FileName, folder, required: false);
        var architecture = DescribeArchitecture();
        File.WriteAllText(Path.Combine(folder, ModelCard.FileName), ModelCard.Write(_description, architecture, _request.Precision, _codebook is not null));
        var manifest = Describe(folder, architecture);
        File.WriteAllText(Path.Combine(folder, ModelPackage.ManifestFileName), ManifestJson.Write(manifest));
        return manifest;
    }

    private void WriteDecoder(string folder)
    {
        using var weights = CheckpointWeights.Open(_request.Checkpoint);
        DiskSpace.Require(folder, DiskSpace.DecoderBytes(_config, _request.Precision));
        var path = Path.Combine(folder, ModelPackage.DecoderFileName);
        var parts = _config.LayerCount + 1;
        var written = 0;
        _progress("decoder", 0, parts);
        var referenced = DecoderGraph.Write(path, _config, _request.Precision, weights, layerWritten: () =>
        {
            _cancellationToken.ThrowIfCancellationRequested();
            _progress("decoder", ++written, parts);
        });
        foreach (var file in referenced.OrderBy(file => file.Name, StringComparer.Ordinal))
        {
            // A copy of its own: a package that pointed out of its folder would be refused, and rightly.
            CopyFile(file.FullPath, Path.Combine(folder, file.Name));
        }

        if (_request.Precision.Kv == "int8")
        {
            QuantizeCache(path, Path.Combine(folder, ModelPackage.TokenizerFileName));
        }
    }

    private void QuantizeCache(string decoder, string tokenizer)
    {
        _progress("key and value ranges", 0, 1);
        var sequences = CalibrationText.Read(_request.Checkpoint, _request.Calibration, tokenizer, _config);
        KvQuantizer.Quantize(decoder, KvRanges.Measure(decoder, DescribeArchitecture(), sequences, _cancellationToken));
        _progress("key and value ranges", 1, 1);
    }

    private void WriteCodebook(string folder)
    {
        if (_codebook is null || _request.Codebook is null)
        {
            return;
        }

        using var weights = SafeTensorsFile.Open(Path.Combine(_request.Codebook, CodebookConfig.WeightsFileName));
        _progress("codebook", 0, 2);
        CodebookDecoderGraph.Write(Path.Combine(folder, ModelPackage.CodebookDecoderFileName), _codebook, weights);
        _progress("codebook", 1, 2);
        CodebookEncoderGraph.Write(Path.Combine(folder, ModelPackage.CodebookEncoderFileName), _codebook, weights);
        if (weights.UnusedTensors.FirstOrDefault() is { } unused)
        {
            throw new ExportException(weights.Name, unused, "only tensors of this architecture", "one that no part of it takes");
        }

        _cancellationToken.ThrowIfCancellationRequested();
        _progress("codebook", 2, 2);
    }

    private void Copy(string name, string folder, bool required)
    {
        var source = Path.Combine(_request.Checkpoint, name);
        if (File.Exists(source))
        {
            CopyFile(source, Path.Combine(folder, name));
        }
        else if (required)
        {
            throw new ExportException(name, "file", "a file of the checkpoint", $"nothing in {_request.Checkpoint}");
        }
    }

    /// <summary>Bytes alone are copied: modes and times of the checkpoint are not part of the package.</summary>
    private static void CopyFile(string source, string target)
    {
        using var from = new FileStream(source, FileMode.Open, FileAccess.Read, FileShare.Read);
        using var to = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        from.CopyTo(to, 1 << 20);
    }

    private Architecture DescribeArchitecture() => new()
    {
        Family = _config.Family,
        LayerCount = _config.LayerCount,
        HeadCount = _config.HeadCount,
        KvHeadCount = _config.KvHeadCount,
        HeadDim = _config.HeadDim,
        HiddenSize = _config.HiddenSize,
        VocabularySize = _config.VocabularySize,
        MaxPositions = _config.MaxPositions,
        RopeTheta = _config.Rope.Theta,
        RopeScaling = _config.Rope.Describe(),
        SlidingWindow = _config.Windows.DefaultIfEmpty(0).Max(),
        NgramEmbeddings = _config.NgramEmbeddings,
    };

    private Manifest Describe(string folder, Architecture architecture) => new()
    {
        Format = Manifest.CurrentFormat,
        Name = _description.Name,
        Version = _description.Version,
        License = _description.License,
        Description = _description.Description,
        Architecture = architecture,
        Precision = _request.Precision.Describe(),
        Files = [.. Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal).Select(DescribeFile)],
        SpecialTokens = _description.SpecialTokens,
        Latents = _description.Latents,
        Codebook = _codebook is null ? null : new Codebook
        {
            ChunkTokens = _codebook.ChunkTokens,
            MinPromptTokens = _codebook.QuestionTokens,
            MaxCodes = _codebook.MaxSteps,
            TextVocabularySize = _codebook.TextVocabularySize,
        },
        Chat = _description.Chat,
        Sampling = _description.Sampling,
        Evaluation = _description.Evaluation,
    };

    private static PackageFile DescribeFile(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        return new PackageFile { Path = Path.GetFileName(path), Bytes = stream.Length, Sha256 = Convert.ToHexStringLower(SHA256.HashData(stream)) };
    }
}
