using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs.Formats;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Graphs;

/// <summary>
/// Writes <c>decoder.onnx</c>: attention with a KV cache in place, and logits only of the rows that are asked for.
/// B = rows, S = positions of each row that run, M = B * S, R = rows of the flattened [M] whose logits are wanted.
/// </summary>
internal sealed class DecoderGraph
{
    private const string Prefix = "model";

    private readonly CheckpointConfig _config;
    private readonly DecoderPrecision _precision;
    private readonly CheckpointWeights _weights;
    private readonly OnnxGraphBuilder _graph;
    private readonly WeightFormat _format;
    private readonly DecoderAttention _attention;

    private DecoderGraph(CheckpointConfig config, DecoderPrecision precision, CheckpointWeights weights, OnnxGraphBuilder graph)
    {
        _config = config;
        _precision = precision;
        _weights = weights;
        _graph = graph;
        _format = WeightFormat.Create(graph, precision);
        _attention = new DecoderAttention(config, precision, weights, graph, _format);
    }

    /// <summary>Writes the graph and its data file.</summary>
    /// <param name="path">The .onnx file, which must not exist.</param>
    /// <param name="config">Shape of the model.</param>
    /// <param name="precision">Number formats; keys and values of <c>int8</c> are written as <c>f32</c> until their scales are known.</param>
    /// <param name="weights">Its weights.</param>
    /// <param name="layerWritten">Called after each layer, and once more after the head; may throw to stop.</param>
    /// <returns>Files of the checkpoint that the graph points into: they must be beside it.</returns>
    /// <exception cref="ExportException">A tensor is missing, has another shape, is not finite, or belongs to no part of this architecture.</exception>
    public static IReadOnlyCollection<SafeTensorsFile> Write(
        string path, CheckpointConfig config, DecoderPrecision precision, CheckpointWeights weights, Action layerWritten)
    {
        using var graph = new OnnxGraphBuilder(path, "decoder");
        var decoder = new DecoderGraph(config, precision, weights, graph);
        CheckTypes(weights);
        decoder.Build(layerWritten);
        RefuseUnusedTensors(config, weights);
        graph.Save();
        return decoder._format.ReferencedFiles;
    }

    private void Build(Action layerWritten)
    {
        DeclareInputs();
        var residual = Embed();
        var normed = _graph.Node(
            "SimplifiedLayerNormalization", "layers.0.attention_input", [residual, Norm($"{Prefix}.layers.0.input_layernorm.weight")], NormAttributes());
        for (var layer = 0; layer < _config.LayerCount; layer++)
        {
            (residual, normed) = Layer(layer, residual, normed);
            layerWritten();
        }

        Head(normed);
        layerWritten();
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

        _graph.Output("logits", OnnxElementType.Float, "R", _config.VocabularySize);
        _attention.Declare();
        _graph.Integers("flat_shape", -1);
    }

    /// <summary>Embedding of each id, plus those of the n ids before it. Gives [M, d], or [B, S, d].</summary>
    private string Embed()
    {
        var sum = _format.Gather("embed_tokens", Table($"{Prefix}.embed_tokens.weight"), FlatIds("input_ids", "ids"));
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
            var embedding = _format.Gather($"embed_{back}_back", Table($"{Prefix}.ngram_embeddings.{back}.weight"), FlatIds(ids, $"{ids}.flat"));
            sum = _graph.Node("Add", $"embed_sum_{back}", [sum, embedding]);
        }

        return sum;
    }

    private string FlatIds(string ids, string name) => _precision.KeepsAxes ? ids : _graph.Node("Reshape", name, [ids, "flat_shape"]);

    /// <summary>One transformer layer; the last one drops the rows nobody wants logits of before its MLP.</summary>
    /// <returns>The residual stream after it, and its norm for what comes next.</returns>
    private (string Residual, string Normed) Layer(int layer, string residual, string normed)
    {
        var name = $"layers.{layer}";
        var attention = _attention.Add(layer, normed);
        var last = layer == _config.LayerCount - 1;
        if (last)
        {
            _format.MayBeEmpty = true;
            if (_precision.KeepsAxes)
            {
                residual = _graph.Node("Reshape", $"{residual}.flat", [residual, _graph.Integers("flat_residual_shape", -1, _config.HiddenSize)]);
                attention = _attention.Flat(attention);
            }

            residual = WantedRows(residual, $"{name}.residual_rows");
            attention = WantedRows(attention, $"{name}.attention_rows");
        }

        var projected = Linear(
            $"{name}.o_proj", attention, $"{Prefix}.{name}.self_attn.o_proj", _config.HeadCount * _config.HeadDim, _config.HiddenSize, _config.OutputBias);
        (residual, normed) = SkipNorm($"{name}.mlp_input", residual, projected, $"{Prefix}.{name}.post_attention_layernorm.weight");
        var mlp = Mlp(name, normed);
        return last
            ? SkipNorm("final", residual, mlp, $"{Prefix}.norm.weight")
            : SkipNorm($"layers.{layer + 1}.attention_input", residual, mlp, $"{Prefix}.layers.{layer + 1}.input_layernorm.weight");
    }

    /// <summary>down(silu(gate(x)) * up(x)).</summary>
    private string Mlp(string name, string input)
    {
        var source = $"{Prefix}.{name}.mlp";
        var (hidden, inner) = (_config.HiddenSize, _config.IntermediateSize);
        var (gate, up) = GateAndUp(name, source, input);
        var activated = _graph.Node("Mul", $"{name}.silu", [gate, _graph.Node("Sigmoid", $"{name}.sigmoid", [gate])]);
        var product = _graph.Node("Mul", $"{name}.gated", [activated, up]);
        return Linear($"{name}.down_proj", product, $"{source}.down_proj", inner, hidden, _config.MlpBias);
    }

    private (string Gate, string Up) GateAndUp(string name, string source, string input)
    {
        var (hidden, inner) = (_config.HiddenSize, _config.IntermediateSize);
        var stack = new WeightMatrix(_weights, hidden, [($"{source}.gate_proj.weight", inner), ($"{source}.up_proj.weight", inner)]);
        if (!_format.Fuses(stack, isCut: true))
        {
            return (
                Linear($"{name}.gate_proj", input, $"{source}.gate_proj", hidden, inner, _config.MlpBias),
                Linear($"{name}.up_proj", input, $"{source}.up_proj", hidden, inner, _config.MlpBias));
        }

        var bias = _config.MlpBias ? _attention.Bias($"{name}.gate_up.bias", ($"{source}.gate_proj.bias", inner), ($"{source}.up_proj.bias", inner)) : null;
        var both = _format.Linear($"{name}.gate_up", input, stack, bias);
        _graph.Node("", "Split", [$"{name}.gate", $"{name}.up"], [both], OnnxAttribute.Int("axis", -1));
        return ($"{name}.gate", $"{name}.up");
    }

    /// <summary>The wanted rows of [M, ...]. Gives [R, ...].</summary>
    private string WantedRows(string values, string name) => _graph.Node("Gather", name, [values, "logits_rows"], OnnxAttribute.Int("axis", 0));

    private string Linear(string name, string input, string source, int inputs, int outputs, bool hasBias) => _format.Linear(
        name,
        input,
        new WeightMatrix(_weights, $"{source}.weight", outputs, inputs),
        hasBias ? _attention.Bias($"{name}.bias", ($"{source}.bias", outputs)) : null);

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

    /// <summary>Logits of the wanted rows, [R, V], always in single precision.</summary>
    private void Head(string normed)
    {
        var table = Table(_config.TiedHead ? $"{Prefix}.embed_tokens.weight" : "lm_head.weight");
        if (_precision.Activations == OnnxElementType.Float)
        {
            _format.Linear("lm_head", normed, table, output: "logits");
        }
        else
        {
            _graph.Node("Cast", "logits", [_format.Linear("lm_head", normed, table)], OnnxAttribute.Int("to", (long)OnnxElementType.Float));
        }
    }

    private WeightMatrix Table(string source) => new(_weights, source, _config.VocabularySize, _config.HiddenSize);

    private string Norm(string source) => _attention.Vector(source, _weights.ReadFloats(source, _config.HiddenSize));

    private AttributeProto[] NormAttributes() =>
        [OnnxAttribute.Int("axis", -1), OnnxAttribute.Float("epsilon", _config.NormEpsilon), OnnxAttribute.Int("stash_type", 1)];

    /// <summary>Old checkpoints store the frequencies, and a tied head may be stored twice; both follow from the rest.</summary>
    private static bool IsRepeated(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    /// <summary>Types may differ from tensor to tensor, but what is no number with a fraction is no weight: the checkpoint is quantised already.</summary>
    private static void CheckTypes(CheckpointWeights weights)
    {
        if (weights.Parts.FirstOrDefault(part => !part.Tensor.Type.IsFloat()) is { } part)
        {
            throw new ExportException(part.File.Name, part.Tensor.Name, "F32, F16, BF16 or F64 elements", $"{part.Tensor.Type}");
        }
    }

    private static void RefuseUnusedTensors(CheckpointConfig config, CheckpointWeights weights)
    {
        foreach (var part in weights.Unused)
        {
            if (!weights.IsSample && !IsRepeated(part.Tensor.Name) && !(config.TiedHead && part.Tensor.Name == "lm_head.weight"))
            {
                throw new ExportException(part.File.Name, part.Tensor.Name, "only tensors of this architecture", "one that no part of it takes");
            }
        }
    }
}
