using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Graphs;

/// <summary>
/// Writes <c>decoder.onnx</c> in single precision: attention with a KV cache in place, and logits only of the rows that are asked for.
/// B = rows, S = positions of each row that run, R = rows of the flattened [B * S] whose logits are wanted.
/// </summary>
internal sealed class DecoderGraph
{
    private const string Prefix = "model";

    private readonly CheckpointConfig _config;
    private readonly SafeTensorsFile _weights;
    private readonly OnnxGraphBuilder _graph;
    private readonly Action _layerWritten;

    private DecoderGraph(CheckpointConfig config, SafeTensorsFile weights, OnnxGraphBuilder graph, Action layerWritten)
    {
        _config = config;
        _weights = weights;
        _graph = graph;
        _layerWritten = layerWritten;
    }

    /// <summary>Writes the graph and its data file.</summary>
    /// <param name="path">The .onnx file, which must not exist.</param>
    /// <param name="config">Shape of the model.</param>
    /// <param name="weights">Its weights; each is read once.</param>
    /// <param name="layerWritten">Called after each layer; may throw to stop.</param>
    /// <exception cref="ExportException">A tensor is missing, has another shape, is not finite, or belongs to no part of this architecture.</exception>
    public static void Write(string path, CheckpointConfig config, SafeTensorsFile weights, Action layerWritten)
    {
        using var graph = new OnnxGraphBuilder(path, "decoder");
        new DecoderGraph(config, weights, graph, layerWritten).Build();
        RefuseUnusedTensors(config, weights);
        graph.Save();
    }

    private void Build()
    {
        DeclareInputs();
        var residual = Embed();
        var normed = _graph.Node(
            "SimplifiedLayerNormalization", "layers.0.attention_input", [residual, Norm($"{Prefix}.layers.0.input_layernorm.weight")], NormAttributes());
        for (var layer = 0; layer < _config.LayerCount; layer++)
        {
            (residual, normed) = Layer(layer, residual, normed);
            _layerWritten();
        }

        Head(normed);
    }

    private void DeclareInputs()
    {
        _graph.Input("input_ids", OnnxElementType.Int64, "B", "S");
        _graph.Input("seqlens_k", OnnxElementType.Int32, "B");
        _graph.Input("total_sequence_length", OnnxElementType.Int32);
        _graph.Input("logits_rows", OnnxElementType.Int64, "R");
        if (_config.NgramEmbeddings > 0)
        {
            _graph.Input("previous_ids", OnnxElementType.Int64, "B", _config.NgramEmbeddings);
        }

        for (var layer = 0; layer < _config.LayerCount; layer++)
        {
            _graph.Input($"past_key_{layer}", OnnxElementType.Float, "B", _config.KvHeadCount, _config.MaxPositions, _config.HeadDim);
            _graph.Input($"past_value_{layer}", OnnxElementType.Float, "B", _config.KvHeadCount, _config.MaxPositions, _config.HeadDim);
        }

        _graph.Output("logits", OnnxElementType.Float, "R", _config.VocabularySize);
        for (var layer = 0; layer < _config.LayerCount; layer++)
        {
            _graph.Output($"present_key_{layer}", OnnxElementType.Float, "B", _config.KvHeadCount, _config.MaxPositions, _config.HeadDim);
            _graph.Output($"present_value_{layer}", OnnxElementType.Float, "B", _config.KvHeadCount, _config.MaxPositions, _config.HeadDim);
        }

        var (cosines, sines) = RotaryCache.Compute(_config.MaxPositions, _config.HeadDim, _config.RopeTheta);
        _graph.Weights("rotary.cos", cosines, _config.MaxPositions, _config.HeadDim / 2);
        _graph.Weights("rotary.sin", sines, _config.MaxPositions, _config.HeadDim / 2);
        _graph.Integers("flat_shape", -1, _config.HiddenSize);
        _graph.Integers("flat_attention_shape", -1, _config.HeadCount * _config.HeadDim);
    }

    /// <summary>Embedding of each id, plus those of the n ids before it. Gives [B, S, d].</summary>
    private string Embed()
    {
        var table = Table($"{Prefix}.embed_tokens.weight");
        var sum = _graph.Node("Gather", "embed_tokens", [table, "input_ids"], OnnxAttribute.Int("axis", 0));
        if (_config.NgramEmbeddings == 0)
        {
            return sum;
        }

        _graph.Integers("slice_axis", 1);
        _graph.Node("Concat", "all_ids", ["previous_ids", "input_ids"], OnnxAttribute.Int("axis", 1));
        for (var back = 1; back <= _config.NgramEmbeddings; back++)
        {
            // all_ids is [B, n + S]; the ids that stand `back` before input_ids are its columns n - back to S + n - back.
            var ids = _graph.Node(
                "Slice",
                $"ids_{back}_back",
                ["all_ids", _graph.Integers($"slice_{back}_start", _config.NgramEmbeddings - back), _graph.Integers($"slice_{back}_end", -back), "slice_axis"]);
            var embedding = _graph.Node(
                "Gather", $"embed_{back}_back", [Table($"{Prefix}.ngram_embeddings.{back}.weight"), ids], OnnxAttribute.Int("axis", 0));
            sum = _graph.Node("Add", $"embed_sum_{back}", [sum, embedding]);
        }

        return sum;
    }

    /// <summary>One transformer layer; the last one drops the rows nobody wants logits of before its MLP.</summary>
    /// <returns>The residual stream after it, and its norm for what comes next.</returns>
    private (string Residual, string Normed) Layer(int layer, string residual, string normed)
    {
        var name = $"layers.{layer}";
        var attention = Attention(layer, normed);
        var last = layer == _config.LayerCount - 1;
        if (last)
        {
            residual = WantedRows(residual, "flat_shape", $"{name}.residual_rows");
            attention = WantedRows(attention, "flat_attention_shape", $"{name}.attention_rows");
        }

        var projected = Linear(
            $"{name}.o_proj", attention, $"{Prefix}.{name}.self_attn.o_proj.weight", _config.HeadCount * _config.HeadDim, _config.HiddenSize);
        (residual, normed) = SkipNorm($"{name}.mlp_input", residual, projected, $"{Prefix}.{name}.post_attention_layernorm.weight");
        var mlp = Mlp(name, normed);
        return last
            ? SkipNorm("final", residual, mlp, $"{Prefix}.norm.weight")
            : SkipNorm($"layers.{layer + 1}.attention_input", residual, mlp, $"{Prefix}.layers.{layer + 1}.input_layernorm.weight");
    }

    /// <summary>Grouped-query attention over the cache. Gives [B, S, heads * headDim].</summary>
    private string Attention(int layer, string normed)
    {
        var name = $"layers.{layer}";
        var qkv = _graph.Node("MatMul", $"{name}.qkv", [normed, PackedQkv(layer)]);
        var output = $"{name}.attention";
        _graph.Node(
            OnnxGraphBuilder.MicrosoftDomain,
            "GroupQueryAttention",
            [output, $"present_key_{layer}", $"present_value_{layer}"],
            [qkv, "", "", $"past_key_{layer}", $"past_value_{layer}", "seqlens_k", "total_sequence_length", "rotary.cos", "rotary.sin"],
            OnnxAttribute.Int("num_heads", _config.HeadCount),
            OnnxAttribute.Int("kv_num_heads", _config.KvHeadCount),
            OnnxAttribute.Float("scale", (float)(1 / Math.Sqrt(_config.HeadDim))),
            OnnxAttribute.Int("do_rotary", 1));
        return output;
    }

    /// <summary>q, k and v side by side, [d, (heads + 2 kvHeads) * headDim].</summary>
    private string PackedQkv(int layer)
    {
        var hidden = _config.HiddenSize;
        var queries = _config.HeadCount * _config.HeadDim;
        var keys = _config.KvHeadCount * _config.HeadDim;
        var source = $"{Prefix}.layers.{layer}.self_attn";
        var rows = queries + (2 * keys);
        var packed = new float[checked(rows * hidden)];
        _weights.ReadFloats(_weights.Require($"{source}.q_proj.weight", queries, hidden)).CopyTo(packed, 0);
        _weights.ReadFloats(_weights.Require($"{source}.k_proj.weight", keys, hidden)).CopyTo(packed, queries * hidden);
        _weights.ReadFloats(_weights.Require($"{source}.v_proj.weight", keys, hidden)).CopyTo(packed, (queries + keys) * hidden);
        return _graph.Weights($"layers.{layer}.qkv.weight", Matrix.Transpose(packed, rows, hidden), hidden, rows);
    }

    /// <summary>down(silu(gate(x)) * up(x)).</summary>
    private string Mlp(string name, string input)
    {
        var source = $"{Prefix}.{name}.mlp";
        var (hidden, inner) = (_config.HiddenSize, _config.IntermediateSize);
        var gate = Linear($"{name}.gate_proj", input, $"{source}.gate_proj.weight", hidden, inner);
        var up = Linear($"{name}.up_proj", input, $"{source}.up_proj.weight", hidden, inner);
        var activated = _graph.Node("Mul", $"{name}.silu", [gate, _graph.Node("Sigmoid", $"{name}.sigmoid", [gate])]);
        var product = _graph.Node("Mul", $"{name}.gated", [activated, up]);
        return Linear($"{name}.down_proj", product, $"{source}.down_proj.weight", inner, hidden);
    }

    /// <summary>The wanted rows of the flattened [B * S, ...]. Gives [R, ...].</summary>
    private string WantedRows(string values, string shape, string name) =>
        _graph.Node("Gather", name, [_graph.Node("Reshape", $"{name}.flat", [values, shape]), "logits_rows"], OnnxAttribute.Int("axis", 0));

    private string Linear(string name, string input, string source, int inputs, int outputs)
    {
        var weight = Matrix.Transpose(_weights.ReadFloats(_weights.Require(source, outputs, inputs)), outputs, inputs);
        return _graph.Node("MatMul", name, [input, _graph.Weights($"{name}.weight", weight, inputs, outputs)]);
    }

    /// <summary>residual + addition, and its norm, in one operator.</summary>
    private (string Residual, string Normed) SkipNorm(string name, string residual, string addition, string source)
    {
        _graph.Node(
            OnnxGraphBuilder.MicrosoftDomain,
            "SkipSimplifiedLayerNormalization",
            [name, "", "", $"{name}.residual"],
            [residual, addition, Norm(source)],
            OnnxAttribute.Float("epsilon", _config.NormEpsilon));
        return ($"{name}.residual", name);
    }

    /// <summary>Logits of the wanted rows, [R, V]; the head's weight keeps its [V, d], so that a tied one is stored once.</summary>
    private void Head(string normed)
    {
        var head = _config.TiedHead ? $"{Prefix}.embed_tokens.weight" : Table("lm_head.weight");
        _graph.Node("Gemm", "logits", [normed, head], OnnxAttribute.Int("transB", 1));
    }

    private string Table(string source)
    {
        var (rows, columns) = (_config.VocabularySize, _config.HiddenSize);
        return _graph.Weights(source, _weights.ReadFloats(_weights.Require(source, rows, columns)), rows, columns);
    }

    private string Norm(string source) => _graph.Weights(source, _weights.ReadFloats(_weights.Require(source, _config.HiddenSize)), _config.HiddenSize);

    private AttributeProto[] NormAttributes() =>
        [OnnxAttribute.Int("axis", -1), OnnxAttribute.Float("epsilon", _config.NormEpsilon), OnnxAttribute.Int("stash_type", 1)];

    private static void RefuseUnusedTensors(CheckpointConfig config, SafeTensorsFile weights)
    {
        foreach (var name in weights.UnusedTensors)
        {
            // Old checkpoints store the frequencies, and a tied head may be stored twice; both follow from the rest.
            if (!name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal) && !(config.TiedHead && name == "lm_head.weight"))
            {
                throw new ExportException(weights.Name, name, "only tensors of this architecture", "one that no part of it takes");
            }
        }
    }
}
