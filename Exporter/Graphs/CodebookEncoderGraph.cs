using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs;

/// <summary>
/// Writes <c>codebook-encoder.onnx</c>: text ids [N, k * L] and prompt ids [N, P] to codes [N, k]. Every chunk of L ids gets the code nearest to its vector.
/// </summary>
internal static class CodebookEncoderGraph
{
    /// <summary>Writes the graph.</summary>
    /// <param name="path">The .onnx file, which must not exist.</param>
    /// <param name="config">Shape of the VQ-VAE.</param>
    /// <param name="weights">Its weights.</param>
    public static void Write(string path, CodebookConfig config, SafeTensorsFile weights)
    {
        using var graph = new OnnxGraphBuilder(path, "codebook-encoder");
        Build(graph, config, weights);
        graph.Save();
    }

    private static void Build(OnnxGraphBuilder graph, CodebookConfig config, SafeTensorsFile weights)
    {
        var layers = new CodebookLayers(graph, weights, config.NormEpsilon);
        var (dim, length) = (config.Dim, config.ChunkTokens);
        graph.Input("text_ids", OnnxElementType.Int64, "N", "T");
        graph.Input("prompt_ids", OnnxElementType.Int64, "N", "P");
        graph.Output("codes", OnnxElementType.Int64, "N", "k");

        var table = layers.Table("embed.weight", config.TextVocabularySize, dim);
        var chunks = graph.Node("Reshape", "chunks", ["text_ids", graph.Integers("chunks_shape", 0, -1, length)]);
        var embedded = graph.Node("Gather", "chunks_embedded", [table, chunks], OnnxAttribute.Int("axis", 0));
        var flat = graph.Node("Reshape", "chunks_flat", [embedded, graph.Integers("chunks_flat_shape", 0, 0, length * dim)]);

        // The last token of the prompt tells which kind of question it is.
        var lastId = graph.Node(
            "Slice",
            "last_prompt_id",
            ["prompt_ids", graph.Integers("last_start", -1), graph.Integers("last_end", long.MaxValue), graph.Integers("prompt_axis", 1)]);
        var kind = graph.Node("Gather", "kind", [table, lastId], OnnxAttribute.Int("axis", 0));

        var hidden = layers.Gelu("encoder_gelu", layers.SplitLinear("encoder_in", flat, length * dim, kind, dim, 4 * dim));
        var vectors = layers.Linear("encoder_out", hidden, 4 * dim, config.CodeDim);
        Nearest(graph, config, weights, vectors);
    }

    /// <summary>Index of the code with the least |c|^2 - 2 v c, which is the nearest one.</summary>
    private static void Nearest(OnnxGraphBuilder graph, CodebookConfig config, SafeTensorsFile weights, string vectors)
    {
        var (count, size) = (config.CodeCount, config.CodeDim);
        var codes = weights.ReadFloats(weights.Require("codes", count, size));
        var squares = new float[count];
        for (var code = 0; code < count; code++)
        {
            var sum = 0.0;
            foreach (var value in codes.AsSpan(code * size, size))
            {
                sum += (double)value * value;
            }

            squares[code] = (float)sum;
        }

        var directions = Matrix.Transpose(codes, count, size);
        for (var i = 0; i < directions.Length; i++)
        {
            directions[i] *= -2;
        }

        var products = graph.Node("MatMul", "products", [vectors, graph.Weights("directions", directions, size, count)]);
        var distances = graph.Node("Add", "distances", [products, graph.Weights("squares", squares, count)]);
        graph.Node("ArgMin", "codes", [distances], OnnxAttribute.Int("axis", -1), OnnxAttribute.Int("keepdims", 0));
    }
}
