using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs.Formats;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Graphs;

/// <summary>Grouped-query attention over the cache: q, k and v, their norms where the family has them, and the operator itself.</summary>
internal sealed class DecoderAttention(
    CheckpointConfig config, DecoderPrecision precision, CheckpointWeights weights, OnnxGraphBuilder graph, WeightFormat format)
{
    // Types that the attention computes in; single precision beside a cache in half precision would be converted at every step.
    private readonly OnnxElementType _compute =
        precision.KvElement == OnnxElementType.Float16 ? OnnxElementType.Float16 : precision.Activations;

    private int QuerySize => config.HeadCount * config.HeadDim;

    private int KeySize => config.KvHeadCount * config.HeadDim;

    /// <summary>Declares the cache's inputs and outputs, and adds what all layers share.</summary>
    public void Declare()
    {
        var kv = precision.KvElement;
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            graph.Input($"past_key_{layer}", kv, "B", config.KvHeadCount, config.MaxPositions, config.HeadDim);
            graph.Input($"past_value_{layer}", kv, "B", config.KvHeadCount, config.MaxPositions, config.HeadDim);
        }

        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            graph.Output($"present_key_{layer}", kv, "B", config.KvHeadCount, config.MaxPositions, config.HeadDim);
            graph.Output($"present_value_{layer}", kv, "B", config.KvHeadCount, config.MaxPositions, config.HeadDim);
        }

        RotaryTables.Add(graph, _compute, config.Rope, config.MaxPositions, config.HeadDim);
        graph.Integers("flat_attention_shape", -1, QuerySize);
        if (precision.KeepsAxes)
        {
            return;
        }

        // [B, S, whatever is left]: the operator wants rows and positions apart.
        graph.Node("Concat", "position_shape", [graph.Node("Shape", "ids_shape", ["input_ids"]), graph.Integers("rest", -1)], OnnxAttribute.Int("axis", 0));
    }

    /// <summary>Adds the attention of a layer: [M, d] to [M, heads * headDim], or [B, S, d] to [B, S, heads * headDim].</summary>
    public string Add(int layer, string normed)
    {
        var name = $"layers.{layer}";
        var (query, key, value) = Projections(layer, normed);
        List<AttributeProto> attributes =
        [
            OnnxAttribute.Int("num_heads", config.HeadCount),
            OnnxAttribute.Int("kv_num_heads", config.KvHeadCount),
            OnnxAttribute.Float("scale", (float)(1 / Math.Sqrt(config.HeadDim))),
            OnnxAttribute.Int("do_rotary", 1),
        ];
        if (config.WindowOf(layer) is > 0 and var window && window < config.MaxPositions)
        {
            attributes.Add(OnnxAttribute.Int("local_window_size", window));
        }

        graph.Node(
            OnnxGraphBuilder.MicrosoftDomain,
            "GroupQueryAttention",
            [$"{name}.attention", $"present_key_{layer}", $"present_value_{layer}"],
            [query, key, value, $"past_key_{layer}", $"past_value_{layer}", "seqlens_k", "total_sequence_length", "rotary.cos", "rotary.sin"],
            [.. attributes]);
        return Cast(precision.KeepsAxes ? $"{name}.attention" : Flat($"{name}.attention"), _compute, precision.Activations);
    }

    /// <summary>[B, S, heads * headDim] as [M, heads * headDim].</summary>
    public string Flat(string attention) => graph.Node("Reshape", $"{attention}.flat", [attention, "flat_attention_shape"]);

    /// <summary>A vector of the checkpoint in the type of the activations.</summary>
    public string Vector(string name, float[] values)
    {
        if (precision.Activations == OnnxElementType.Float)
        {
            return graph.Weights(name, values, values.Length);
        }

        return graph.Stored(name, precision.Activations, [values.Length], stream => new FloatEncoder(weights.Name, name, precision.Activations, stream).Write(values));
    }

    /// <summary>Biases side by side.</summary>
    public string Bias(string name, params ReadOnlySpan<(string Source, int Size)> parts)
    {
        var values = new List<float>();
        foreach (var (source, size) in parts)
        {
            values.AddRange(weights.ReadFloats(source, size));
        }

        return Vector(name, [.. values]);
    }

    /// <summary>q, k and v as [B, S, ...]; packed side by side in the first one where nothing has to be done to each.</summary>
    private (string Query, string Key, string Value) Projections(int layer, string normed)
    {
        var name = $"layers.{layer}";
        var source = $"model.{name}.self_attn";
        (string Short, string Source, int Size)[] parts =
            [("q", $"{source}.q_proj", QuerySize), ("k", $"{source}.k_proj", KeySize), ("v", $"{source}.v_proj", KeySize)];
        var stack = new WeightMatrix(weights, config.HiddenSize, [.. parts.Select(part => ($"{part.Source}.weight", part.Size))]);
        string[] projected;
        if (format.Fuses(stack, isCut: config.QueryKeyNorm))
        {
            var bias = config.AttentionBias ? Bias($"{name}.qkv.bias", [.. parts.Select(part => ($"{part.Source}.bias", part.Size))]) : null;
            var packed = format.Linear($"{name}.qkv", normed, stack, bias);
            if (!config.QueryKeyNorm)
            {
                return (Positions(packed), "", "");
            }

            projected = [.. parts.Select(part => $"{name}.{part.Short}")];
            graph.Node("", "Split", projected, [packed, graph.Integers($"{name}.qkv.sizes", QuerySize, KeySize, KeySize)], OnnxAttribute.Int("axis", -1));
        }
        else
        {
            projected =
            [
                .. parts.Select(part => format.Linear(
                    $"{name}.{part.Short}",
                    normed,
                    new WeightMatrix(weights, $"{part.Source}.weight", part.Size, config.HiddenSize),
                    config.AttentionBias ? Bias($"{name}.{part.Short}.bias", ($"{part.Source}.bias", part.Size)) : null)),
            ];
        }

        if (config.QueryKeyNorm)
        {
            projected[0] = HeadNorm(projected[0], $"{source}.q_norm.weight");
            projected[1] = HeadNorm(projected[1], $"{source}.k_norm.weight");
        }

        return (Positions(projected[0]), Positions(projected[1]), Positions(projected[2]));
    }

    private string Positions(string values) => Cast(
        precision.KeepsAxes ? values : graph.Node("Reshape", $"{values}.positions", [values, "position_shape"]), precision.Activations, _compute);

    /// <summary>Every head normed for itself: [M * heads, headDim], or [B, S, heads * headDim].</summary>
    private string HeadNorm(string values, string source)
    {
        const string Shape = "head_shape";
        const string JoinedShape = "joined_shape";
        if (!graph.Has(Shape))
        {
            // 0 is the axis as it was.
            graph.Integers(Shape, precision.KeepsAxes ? [0, 0, -1, config.HeadDim] : [-1, config.HeadDim]);
        }

        if (precision.KeepsAxes && !graph.Has(JoinedShape))
        {
            graph.Integers(JoinedShape, 0, 0, -1);
        }

        var normed = graph.Node(
            "SimplifiedLayerNormalization",
            $"{values}.normed",
            [graph.Node("Reshape", $"{values}.heads", [values, Shape]), Vector(source, weights.ReadFloats(source, config.HeadDim))],
            OnnxAttribute.Int("axis", -1),
            OnnxAttribute.Float("epsilon", config.NormEpsilon),
            OnnxAttribute.Int("stash_type", 1));
        return precision.KeepsAxes ? graph.Node("Reshape", $"{values}.joined", [normed, JoinedShape]) : normed;
    }

    private string Cast(string values, OnnxElementType from, OnnxElementType to) =>
        from == to ? values : graph.Node("Cast", $"{values}.cast", [values], OnnxAttribute.Int("to", (long)to));
}
