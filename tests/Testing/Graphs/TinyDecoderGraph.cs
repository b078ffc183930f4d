using Tessera.Models;
using static Tessera.Testing.Graphs.OnnxGraphBuilder;

namespace Tessera.Testing.Graphs;

/// <summary>A decoder graph to the graph contract with <see cref="TinyDecoderWeights"/>: the real operators, in a few hundred kilobytes.</summary>
public static class TinyDecoderGraph
{
    /// <summary>Writes a graph with random weights.</summary>
    /// <param name="path">The .onnx file to write.</param>
    /// <param name="architecture">Shape.</param>
    /// <param name="seed">Seed of the weights.</param>
    /// <returns>The weights, for a reference.</returns>
    public static TinyDecoderWeights Save(string path, Architecture architecture, int seed = 1)
    {
        var weights = new TinyDecoderWeights(architecture, seed);
        Describe(weights).Save(path);
        return weights;
    }

    /// <summary>The graph.</summary>
    public static OnnxGraphBuilder Describe(TinyDecoderWeights weights)
    {
        var shape = weights.Architecture;
        var graph = new OnnxGraphBuilder();
        AddSignature(graph, shape);
        AddRotary(graph, shape);
        AddEmbeddings(graph, weights);
        graph.Node("SimplifiedLayerNormalization", ["embedded", "norm_0"], ["normed_0"], ("axis", -1), ("epsilon", TinyDecoderWeights.Epsilon), ("stash_type", 1));
        graph.Constant("norm_0", weights.Layers[0].AttentionNorm, shape.HiddenSize);
        var residual = "embedded";
        for (var layer = 0; layer < shape.LayerCount; layer++)
            residual = AddLayer(graph, weights, layer, residual);
        AddHead(graph, weights, residual);
        return graph;
    }

    private static void AddSignature(OnnxGraphBuilder graph, Architecture shape)
    {
        graph.Input("input_ids", I64, "B", "S").Input("seqlens_k", I32, "B").Input("total_sequence_length", I32).Input("logits_rows", I64, "R");
        if (shape.NgramEmbeddings > 0)
            graph.Input("previous_ids", I64, "B", shape.NgramEmbeddings);
        graph.Output("logits", F32, "R", shape.VocabularySize);
        foreach (var name in Enumerable.Range(0, shape.LayerCount).SelectMany(layer => new[] { $"key_{layer}", $"value_{layer}" }))
        {
            graph.Input("past_" + name, F32, "B", shape.KvHeadCount, shape.MaxPositions, shape.HeadDim);
            graph.Output("present_" + name, F32, "B", shape.KvHeadCount, shape.MaxPositions, shape.HeadDim);
        }
    }

    private static void AddRotary(OnnxGraphBuilder graph, Architecture shape)
    {
        var half = shape.HeadDim / 2;
        var cos = new float[shape.MaxPositions * half];
        var sin = new float[shape.MaxPositions * half];
        for (var i = 0; i < cos.Length; i++)
            (sin[i], cos[i]) = ((float)Math.Sin(Angle(shape, i / half, i % half)), (float)Math.Cos(Angle(shape, i / half, i % half)));
        graph.Constant("cos", cos, shape.MaxPositions, half).Constant("sin", sin, shape.MaxPositions, half);
    }

    internal static double Angle(Architecture shape, int position, int pair) => position / Math.Pow(shape.RopeTheta, 2.0 * pair / shape.HeadDim);

    private static void AddEmbeddings(OnnxGraphBuilder graph, TinyDecoderWeights weights)
    {
        var shape = weights.Architecture;
        graph.Constant("embeddings", weights.Embeddings, shape.VocabularySize, shape.HiddenSize);
        if (shape.NgramEmbeddings == 0)
        {
            graph.Node("Gather", ["embeddings", "input_ids"], ["embedded"]);
            return;
        }

        // [B, n + S]: the ids before the slice and those of the slice; distance j is this, from n - j on, S long.
        graph.Node("Gather", ["embeddings", "input_ids"], ["sum_0"]).Node("Concat", ["previous_ids", "input_ids"], ["all_ids"], ("axis", 1));
        graph.Constant("axis_1", [1L], 1);
        for (var distance = 1; distance <= shape.NgramEmbeddings; distance++)
        {
            var sum = distance == shape.NgramEmbeddings ? "embedded" : $"sum_{distance}";
            graph.Constant($"from_{distance}", [(long)(shape.NgramEmbeddings - distance)], 1)
                .Constant($"to_{distance}", [(long)-distance], 1)
                .Constant($"ngram_{distance}", weights.NgramEmbeddings[distance - 1], shape.VocabularySize, shape.HiddenSize)
                .Node("Slice", ["all_ids", $"from_{distance}", $"to_{distance}", "axis_1"], [$"ids_{distance}"])
                .Node("Gather", [$"ngram_{distance}", $"ids_{distance}"], [$"part_{distance}"])
                .Node("Add", [$"sum_{distance - 1}", $"part_{distance}"], [sum]);
        }
    }

    private static string AddLayer(OnnxGraphBuilder graph, TinyDecoderWeights weights, int layer, string residual)
    {
        var shape = weights.Architecture;
        var (hidden, width, kv) = (shape.HiddenSize, shape.HeadCount * shape.HeadDim, shape.KvHeadCount * shape.HeadDim);
        var part = weights.Layers[layer];
        string N(string name) => $"{name}_{layer}";
        void Linear(string x, string name, float[] matrix, int from, int to, string y) =>
            graph.Constant(N(name), matrix, from, to).Node("MatMul", [x, N(name)], [y]);

        Linear(N("normed"), "wq", part.Query, hidden, width, N("q"));
        Linear(N("normed"), "wk", part.Key, hidden, kv, N("k"));
        Linear(N("normed"), "wv", part.Value, hidden, kv, N("v"));
        graph.Node(
            ContribDomain, "GroupQueryAttention",
            [N("q"), N("k"), N("v"), $"past_key_{layer}", $"past_value_{layer}", "seqlens_k", "total_sequence_length", "cos", "sin"],
            [N("attended"), $"present_key_{layer}", $"present_value_{layer}"],
            ("num_heads", shape.HeadCount), ("kv_num_heads", shape.KvHeadCount), ("do_rotary", 1));
        Linear(N("attended"), "wo", part.Output, width, hidden, N("projected"));
        SkipNorm(graph, N("projected"), residual, N("ffn_norm"), part.FeedForwardNorm, N("ffn_in"), N("middle"));
        Linear(N("ffn_in"), "wg", part.Gate, hidden, weights.Intermediate, N("gate"));
        Linear(N("ffn_in"), "wu", part.Up, hidden, weights.Intermediate, N("up"));
        graph.Node("Sigmoid", [N("gate")], [N("sigmoid")]).Node("Mul", [N("gate"), N("sigmoid")], [N("silu")]).Node("Mul", [N("silu"), N("up")], [N("gated")]);
        Linear(N("gated"), "wd", part.Down, weights.Intermediate, hidden, N("fed"));
        if (layer == shape.LayerCount - 1)
        {
            graph.Node("Add", [N("fed"), N("middle")], ["last"]);
            return "last";
        }

        SkipNorm(graph, N("fed"), N("middle"), $"norm_{layer + 1}", weights.Layers[layer + 1].AttentionNorm, $"normed_{layer + 1}", N("out"));
        return N("out");
    }

    private static void SkipNorm(OnnxGraphBuilder graph, string x, string skip, string name, float[] weight, string normed, string sum) =>
        graph.Constant(name, weight, weight.Length).Node(
            ContribDomain, "SkipSimplifiedLayerNormalization", [x, skip, name], [normed, "", "", sum], ("epsilon", TinyDecoderWeights.Epsilon));

    private static void AddHead(OnnxGraphBuilder graph, TinyDecoderWeights weights, string last)
    {
        var shape = weights.Architecture;
        graph.Constant("flat", [-1L, shape.HiddenSize], 2)
            .Constant("final_norm", weights.FinalNorm, shape.HiddenSize)
            .Constant("head", weights.Head, shape.HiddenSize, shape.VocabularySize)
            .Node("Reshape", [last, "flat"], ["positions"])
            .Node("Gather", ["positions", "logits_rows"], ["wanted"])
            .Node("SimplifiedLayerNormalization", ["wanted", "final_norm"], ["final"], ("axis", -1), ("epsilon", TinyDecoderWeights.Epsilon), ("stash_type", 1))
            .Node("MatMul", ["final", "head"], ["logits"]);
    }
}
