using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Weights;
using Tessera.Models;

namespace Tessera.Exporter.Extension;

/// <summary>How a checkpoint is extended.</summary>
/// <param name="Checkpoint">Folder of the checkpoint, in the Hugging Face layout; it stays as it is.</param>
/// <param name="Output">The folder to make.</param>
/// <param name="LatentCount">Latents to add (K).</param>
internal sealed record ExtendRequest(string Checkpoint, string Output, int LatentCount)
{
    /// <summary>Folder of a codebook whose codes say where the latents' rows begin; null for the mean of all rows.</summary>
    public string? Codebook { get; init; }

    /// <summary>Noise on new rows, in parts of the old rows' deviation.</summary>
    public double Noise { get; init; } = 0.1;

    /// <summary>Seed of the noise.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Name of the model in its description.</summary>
    public string Name { get; init; } = "model";

    /// <summary>Mean number of text tokens that one latent replaces, until training has measured it.</summary>
    public double TextTokensPerLatent { get; init; } = 5;

    /// <summary>Content of <c>&lt;think&gt; &lt;/think&gt; &lt;boLatent&gt; &lt;eoLatent&gt;</c>.</summary>
    public IReadOnlyList<string> Delimiters { get; init; } = ["<think>", "</think>", "<boLatent>", "<eoLatent>"];
}

/// <summary>
/// Adds the four delimiters and K latents to a checkpoint: added tokens in tokenizer.json, rows in the embedding table and the head, and a tessera.json.
/// Every row of an id that the tokenizer had stays bit for bit.
/// </summary>
internal sealed class CheckpointExtender
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ExtendRequest _request;
    private readonly CheckpointConfig _config;
    private readonly CheckpointWeights _weights;
    private readonly ExtendedTokenizer _tokenizer;

    private CheckpointExtender(ExtendRequest request, CheckpointWeights weights)
    {
        _request = request;
        _weights = weights;
        _config = CheckpointConfig.Read(Path.Combine(request.Checkpoint, CheckpointConfig.FileName));
        _tokenizer = ExtendedTokenizer.Create(
            Path.Combine(request.Checkpoint, ModelPackage.TokenizerFileName), _config, request.Delimiters, request.LatentCount);
    }

    /// <summary>Extends a checkpoint; the new folder is complete, or not there at all.</summary>
    /// <returns>The new vocabulary.</returns>
    /// <exception cref="ExportException">The checkpoint cannot be extended.</exception>
    public static ExtendedTokenizer Extend(ExtendRequest request, Action<string, int, int> progress, CancellationToken cancellationToken)
    {
        Check(request);
        using var weights = CheckpointWeights.Open(request.Checkpoint);
        var extender = new CheckpointExtender(request, weights);
        using var folder = OutputFolder.Create(request.Output, force: false);
        var vocabulary = folder.Fill(path => extender.Write(path, progress, cancellationToken));
        folder.Commit();
        return vocabulary;
    }

    private static void Check(ExtendRequest request)
    {
        if (request.LatentCount is < 1 or > (1 << 20))
        {
            throw new ExportException("command line", "--latents", $"1 to {1 << 20}", $"{request.LatentCount}");
        }

        if (request.Noise is < 0 or > 10 || double.IsNaN(request.Noise))
        {
            throw new ExportException("command line", "--noise", "0 to 10", FormattableString.Invariant($"{request.Noise}"));
        }

        if (request.TextTokensPerLatent is <= 0 or > 1e6 || double.IsNaN(request.TextTokensPerLatent))
        {
            throw new ExportException("command line", "--text-tokens-per-latent", "a positive number", FormattableString.Invariant($"{request.TextTokensPerLatent}"));
        }
    }

    private ExtendedTokenizer Write(string folder, Action<string, int, int> progress, CancellationToken cancellationToken)
    {
        var rows = Math.Max(_config.VocabularySize, _tokenizer.Size);
        File.WriteAllText(Path.Combine(folder, ModelPackage.TokenizerFileName), _tokenizer.Document.ToJsonString(Json));
        File.WriteAllText(Path.Combine(folder, CheckpointDescription.FileName), _tokenizer.Describe(_request).ToJsonString(Json) + "\n");
        WriteConfig(folder, rows);
        CopyTheRest(folder);
        var tables = NewRows.Tables(_config);
        var written = 0;
        foreach (var file in _weights.Files)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress("weights", written++, _weights.Files.Count);
            var target = Path.Combine(folder, file.Name);
            if (!tables.Any(file.Tensors.ContainsKey))
            {
                File.Copy(file.FullPath, target);
                continue;
            }

            var newRows = NewRows.Create(_request, _config, _weights, _tokenizer);
            SafeTensorsRewriter.Rewrite(file, target, tables, rows, (tensor, stream) => newRows.Write(tensor, rows, stream));
        }

        progress("weights", written, _weights.Files.Count);
        WriteIndex(folder, rows);
        return _tokenizer;
    }

    private void WriteConfig(string folder, int rows)
    {
        var config = ReadObject(CheckpointConfig.FileName);
        config["vocab_size"] = rows;
        if (_tokenizer.PadId is { } pad)
        {
            config["pad_token_id"] = pad;
        }

        File.WriteAllText(Path.Combine(folder, CheckpointConfig.FileName), config.ToJsonString(Json) + "\n");
    }

    /// <summary>A sharded checkpoint says how many bytes its tensors have.</summary>
    private void WriteIndex(string folder, int rows)
    {
        if (!File.Exists(Path.Combine(_request.Checkpoint, CheckpointWeights.IndexFileName)) || _weights.Name != CheckpointWeights.IndexFileName)
        {
            return;
        }

        var index = ReadObject(CheckpointWeights.IndexFileName);
        if (index["metadata"] is JsonObject metadata)
        {
            metadata["total_size"] = _weights.Parts.Sum(part =>
                NewRows.Tables(_config).Contains(part.Tensor.Name) ? part.Tensor.ByteCount / part.Tensor.Shape[0] * rows : part.Tensor.ByteCount);
        }

        File.WriteAllText(Path.Combine(folder, CheckpointWeights.IndexFileName), index.ToJsonString(Json) + "\n");
    }

    /// <summary>Small files that go with a checkpoint, such as generation_config.json; logits that were recorded before fit no more.</summary>
    private void CopyTheRest(string folder)
    {
        const long MaxBytes = 16 << 20;
        foreach (var source in new DirectoryInfo(_request.Checkpoint).EnumerateFiles("*.json").Where(file => file.Length <= MaxBytes && file.LinkTarget is null))
        {
            var target = Path.Combine(folder, source.Name);
            if (!File.Exists(target) && source.Name != CheckpointWeights.IndexFileName)
            {
                source.CopyTo(target);
            }
        }
    }

    private JsonObject ReadObject(string name)
    {
        var path = Path.Combine(_request.Checkpoint, name);
        JsonFile.Open(path);
        return JsonNode.Parse(File.ReadAllBytes(path))!.AsObject();
    }
}
