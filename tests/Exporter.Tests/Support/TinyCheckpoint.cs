using System.Text.Json.Nodes;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Weights;
using Tessera.Testing.Graphs;

namespace Tessera.Exporter.Tests.Support;

/// <summary>Brings the weights of the tests' own reference decoder into a checkpoint, and exports its decoder.</summary>
internal static class TinyCheckpoint
{
    /// <summary>Writes decoder.onnx of these weights.</summary>
    /// <returns>Path of the graph.</returns>
    public static string WriteDecoder(string folder, TinyDecoderWeights weights, bool tiedHead, DecoderPrecision? precision = null)
    {
        var shape = weights.Architecture;
        var path = Path.Combine(folder, "model.safetensors");
        File.WriteAllBytes(path, Write(weights, tiedHead).ToBytes());
        var config = new CheckpointConfig
        {
            Family = shape.Family,
            HiddenSize = shape.HiddenSize,
            IntermediateSize = weights.Intermediate,
            LayerCount = shape.LayerCount,
            HeadCount = shape.HeadCount,
            KvHeadCount = shape.KvHeadCount,
            HeadDim = shape.HeadDim,
            VocabularySize = shape.VocabularySize,
            MaxPositions = shape.MaxPositions,
            NormEpsilon = TinyDecoderWeights.Epsilon,
            Rope = new RopeScaling { Theta = shape.RopeTheta },
            TiedHead = tiedHead,
            NgramEmbeddings = shape.NgramEmbeddings,
        };
        var graph = Path.Combine(folder, "decoder.onnx");
        using var file = CheckpointWeights.Open(folder);
        DecoderGraph.Write(graph, config, precision ?? DecoderPrecision.Fp32, file, static () => { });
        return graph;
    }

    /// <summary>Writes the config.json of these weights.</summary>
    public static void WriteConfig(string folder, TinyDecoderWeights weights)
    {
        var shape = weights.Architecture;
        var config = new JsonObject
        {
            ["model_type"] = "llama",
            ["hidden_act"] = "silu",
            ["hidden_size"] = shape.HiddenSize,
            ["intermediate_size"] = weights.Intermediate,
            ["num_hidden_layers"] = shape.LayerCount,
            ["num_attention_heads"] = shape.HeadCount,
            ["num_key_value_heads"] = shape.KvHeadCount,
            ["head_dim"] = shape.HeadDim,
            ["vocab_size"] = shape.VocabularySize,
            ["max_position_embeddings"] = shape.MaxPositions,
            ["rms_norm_eps"] = 1e-6,
            ["rope_theta"] = shape.RopeTheta,
        };
        File.WriteAllText(Path.Combine(folder, CheckpointConfig.FileName), config.ToJsonString());
    }

    /// <summary>Makes the head the embedding table.</summary>
    public static void TieHead(TinyDecoderWeights weights) =>
        Matrix.Transpose(weights.Embeddings, weights.Architecture.VocabularySize, weights.Architecture.HiddenSize).CopyTo(weights.Head, 0);

    private static SafeTensorsWriter Write(TinyDecoderWeights weights, bool tiedHead)
    {
        var shape = weights.Architecture;
        var (hidden, inner) = (shape.HiddenSize, weights.Intermediate);
        var (width, kv) = (shape.HeadCount * shape.HeadDim, shape.KvHeadCount * shape.HeadDim);
        var writer = new SafeTensorsWriter();
        writer.Add("model.embed_tokens.weight", weights.Embeddings, shape.VocabularySize, hidden);
        for (var i = 0; i < weights.NgramEmbeddings.Count; i++)
        {
            writer.Add($"model.ngram_embeddings.{i + 1}.weight", weights.NgramEmbeddings[i], shape.VocabularySize, hidden);
        }

        for (var i = 0; i < weights.Layers.Count; i++)
        {
            var (name, layer) = ($"model.layers.{i}", weights.Layers[i]);
            writer.Add($"{name}.input_layernorm.weight", layer.AttentionNorm, hidden);
            writer.Add($"{name}.post_attention_layernorm.weight", layer.FeedForwardNorm, hidden);
            Linear($"{name}.self_attn.q_proj.weight", layer.Query, hidden, width);
            Linear($"{name}.self_attn.k_proj.weight", layer.Key, hidden, kv);
            Linear($"{name}.self_attn.v_proj.weight", layer.Value, hidden, kv);
            Linear($"{name}.self_attn.o_proj.weight", layer.Output, width, hidden);
            Linear($"{name}.mlp.gate_proj.weight", layer.Gate, hidden, inner);
            Linear($"{name}.mlp.up_proj.weight", layer.Up, hidden, inner);
            Linear($"{name}.mlp.down_proj.weight", layer.Down, inner, hidden);
        }

        writer.Add("model.norm.weight", weights.FinalNorm, hidden);
        if (!tiedHead)
        {
            Linear("lm_head.weight", weights.Head, hidden, shape.VocabularySize);
        }

        return writer;

        // The tests' weights are [in, out], a checkpoint's are [out, in].
        void Linear(string name, float[] values, int inputs, int outputs) => writer.Add(name, Matrix.Transpose(values, inputs, outputs), outputs, inputs);
    }
}
