using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Extension;

/// <summary>
/// Rows of new ids in the embedding table and the head: the mean of the old rows plus noise of the old rows' deviation times a scale; or, for latents of
/// a codebook, the mean of the rows of the text that the code stands for plus the same noise.
/// </summary>
internal sealed class NewRows
{
    private const string Embeddings = "model.embed_tokens.weight";
    private const string Head = "lm_head.weight";

    private readonly ExtendRequest _request;
    private readonly CheckpointConfig _config;
    private readonly CheckpointWeights _weights;
    private readonly ExtendedTokenizer _tokenizer;
    private readonly IReadOnlyList<int[]>? _texts;

    private NewRows(ExtendRequest request, CheckpointConfig config, CheckpointWeights weights, ExtendedTokenizer tokenizer, IReadOnlyList<int[]>? texts)
    {
        _request = request;
        _config = config;
        _weights = weights;
        _tokenizer = tokenizer;
        _texts = texts;
    }

    /// <summary>Tensors with one row per id.</summary>
    public static IReadOnlyList<string> Tables(CheckpointConfig config)
    {
        List<string> tables = [Embeddings, .. Enumerable.Range(1, config.NgramEmbeddings).Select(back => $"model.ngram_embeddings.{back}.weight")];
        if (!config.TiedHead)
        {
            tables.Add(Head);
        }

        return tables;
    }

    /// <summary>Prepares the rows.</summary>
    /// <exception cref="ExportException">The codebook does not fit the checkpoint.</exception>
    public static NewRows Create(ExtendRequest request, CheckpointConfig config, CheckpointWeights weights, ExtendedTokenizer tokenizer) => new(
        request, config, weights, tokenizer, request.Codebook is { } folder ? CodeTexts.Read(folder, request.LatentCount, tokenizer.OldSize) : null);

    /// <summary>Writes a table: old rows as they are, new ones, and unused ones behind them as they are.</summary>
    /// <param name="tensor">The old table.</param>
    /// <param name="rows">Rows of the new one.</param>
    /// <param name="stream">Gets it.</param>
    public void Write(SafeTensor tensor, int rows, Stream stream)
    {
        var file = _weights.Require(tensor.Name, _config.VocabularySize, _config.HiddenSize).File;
        var rowBytes = (long)_config.HiddenSize * tensor.Type.ByteSize();
        SafeTensorsRewriter.Copy(file, tensor, _tokenizer.OldSize * rowBytes, stream);
        WriteNew(tensor, stream);
        var buffer = new byte[rowBytes];
        for (var row = _tokenizer.Size; row < rows; row++)
        {
            file.ReadBytes(tensor, row * rowBytes, buffer);
            stream.Write(buffer);
        }
    }

    private void WriteNew(SafeTensor tensor, Stream stream)
    {
        var table = new WeightMatrix(_weights, tensor.Name, _config.VocabularySize, _config.HiddenSize);
        var (mean, deviation) = Statistics(table);
        var encoder = new FloatEncoder(table.FileName, tensor.Name, ElementTypeOf(tensor), stream);
        // Each table draws its own noise; the same request gives the same bytes.
        var random = new Random(unchecked((_request.Seed * 31) + Tables(_config).ToList().IndexOf(tensor.Name)));
        var row = new float[_config.HiddenSize];
        for (var id = _tokenizer.OldSize; id < _tokenizer.Size; id++)
        {
            var center = id >= _tokenizer.FirstLatentId && _texts is not null ? MeanOf(table, _texts[id - _tokenizer.FirstLatentId]) : mean;
            for (var i = 0; i < row.Length; i++)
            {
                row[i] = (float)(center[i] + (_request.Noise * deviation[i] * Normal(random)));
            }

            encoder.Write(row);
        }
    }

    private (double[] Mean, double[] Deviation) Statistics(WeightMatrix table)
    {
        var sums = new double[table.Columns];
        var squares = new double[table.Columns];
        var row = new float[table.Columns];
        for (var id = 0; id < _tokenizer.OldSize; id++)
        {
            table.ReadRows(id, row);
            for (var i = 0; i < row.Length; i++)
            {
                sums[i] += row[i];
                squares[i] += (double)row[i] * row[i];
            }
        }

        var mean = Array.ConvertAll(sums, sum => sum / _tokenizer.OldSize);
        var deviation = new double[table.Columns];
        for (var i = 0; i < deviation.Length; i++)
        {
            deviation[i] = Math.Sqrt(Math.Max(0, (squares[i] / _tokenizer.OldSize) - (mean[i] * mean[i])));
        }

        return (mean, deviation);
    }

    private static double[] MeanOf(WeightMatrix table, int[] ids)
    {
        var mean = new double[table.Columns];
        var row = new float[table.Columns];
        foreach (var id in ids)
        {
            table.ReadRows(id, row);
            for (var i = 0; i < row.Length; i++)
            {
                mean[i] += row[i] / (double)ids.Length;
            }
        }

        return mean;
    }

    private static OnnxElementType ElementTypeOf(SafeTensor tensor) => tensor.Type switch
    {
        TensorElementType.F32 => OnnxElementType.Float,
        TensorElementType.F16 => OnnxElementType.Float16,
        TensorElementType.BF16 => OnnxElementType.BFloat16,
        _ => throw new ExportException(CheckpointWeights.FileName, tensor.Name, "F32, F16 or BF16 elements", $"{tensor.Type}"),
    };

    /// <summary>A number of the standard normal distribution.</summary>
    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(Math.Tau * random.NextDouble());
}
