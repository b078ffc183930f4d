using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs;

/// <summary>
/// Writes <c>codebook-decoder.onnx</c>: codes [N, k] and prompt ids [N, P] to text logits [N, k, L, V_text]. A code is read together with the codes before it
/// and the last Q tokens of the prompt.
/// </summary>
internal sealed class CodebookDecoderGraph
{
    // Added to the scores of later steps: far below any score, and exact in every precision.
    private const float Masked = -1e4f;

    private readonly CodebookConfig _config;
    private readonly OnnxGraphBuilder _graph;
    private readonly CodebookLayers _layers;

    private CodebookDecoderGraph(CodebookConfig config, OnnxGraphBuilder graph, SafeTensorsFile weights)
    {
        _config = config;
        _graph = graph;
        _layers = new CodebookLayers(graph, weights, config.NormEpsilon);
    }

    /// <summary>Writes the graph.</summary>
    /// <param name="path">The .onnx file, which must not exist.</param>
    /// <param name="config">Shape of the VQ-VAE.</param>
    /// <param name="weights">Its weights.</param>
    public static void Write(string path, CodebookConfig config, SafeTensorsFile weights)
    {
        using var graph = new OnnxGraphBuilder(path, "codebook-decoder");
        new CodebookDecoderGraph(config, graph, weights).Build();
        graph.Save();
    }

    private void Build()
    {
        var (dim, length) = (_config.Dim, _config.ChunkTokens);
        _graph.Input("codes", OnnxElementType.Int64, "N", "k");
        _graph.Input("prompt_ids", OnnxElementType.Int64, "N", "P");
        _graph.Output("text_logits", OnnxElementType.Float, "N", "k", length, _config.TextVocabularySize);

        var table = _layers.Table("codes", _config.CodeCount, _config.CodeDim, name: "code_table");
        var vectors = _graph.Node("Gather", "code_vectors", [table, "codes"], OnnxAttribute.Int("axis", 0));
        var steps = _layers.SplitLinear("decoder_in", vectors, _config.CodeDim, Question(), dim, dim);
        steps = _graph.Node("Add", "steps", [steps, StepPositions()]);
        var mask = CausalMask();
        for (var block = 0; block < _config.StepBlockCount; block++)
        {
            steps = StepBlock($"step_blocks.{block}", steps, mask);
        }

        var expanded = _layers.Linear("expand", _layers.Norm("expand_norm", steps, dim), dim, length * dim);
        var positions = _graph.Node("Reshape", "positions", [expanded, _graph.Integers("positions_shape", 0, 0, length, dim)]);
        for (var block = 0; block < _config.PositionBlockCount; block++)
        {
            var name = $"position_blocks.{block}";
            positions = _layers.Mlp(name, positions, _layers.Norm($"{name}.norm", positions, dim), dim);
        }

        _layers.Linear("head", _layers.Norm("norm", positions, dim), dim, _config.TextVocabularySize, output: "text_logits");
    }

    /// <summary>The last Q tokens of the prompt as one vector, [N, 1, D].</summary>
    private string Question()
    {
        var (dim, count) = (_config.Dim, _config.QuestionTokens);
        var ids = _graph.Node(
            "Slice",
            "question_ids",
            ["prompt_ids", _graph.Integers("question_start", -count), _graph.Integers("question_end", long.MaxValue), _graph.Integers("prompt_axis", 1)]);
        var embedded = _graph.Node(
            "Gather", "question_embedded", [_layers.Table("embed.weight", _config.TextVocabularySize, dim), ids], OnnxAttribute.Int("axis", 0));
        var flat = _graph.Node("Reshape", "question", [embedded, _graph.Integers("question_shape", 0, 1, count * dim)]);
        var hidden = _layers.Gelu("question_gelu", _layers.Linear("question_in", flat, count * dim, 2 * dim));
        return _layers.Linear("question_out", hidden, 2 * dim, dim);
    }

    /// <summary>Positions of the k steps there are, [k, D].</summary>
    private string StepPositions()
    {
        _graph.Node("Shape", "codes_shape", ["codes"]);
        _graph.Node("Slice", "step_count", ["codes_shape", _graph.Integers("one", 1), _graph.Integers("two", 2)]);
        return _graph.Node(
            "Slice",
            "step_positions",
            [_layers.Table("step_position", _config.MaxSteps, _config.Dim), _graph.Integers("zero", 0), "step_count", _graph.Integers("first_axis", 0)]);
    }

    /// <summary>0 where a step may look, far below 0 where it may not, [k, k].</summary>
    private string CausalMask()
    {
        var size = _config.MaxSteps;
        var mask = new float[size * size];
        for (var i = 0; i < mask.Length; i++)
        {
            mask[i] = i % size > i / size ? Masked : 0;
        }

        _graph.Weights("full_mask", mask, size, size);
        _graph.Node("Concat", "mask_end", ["step_count", "step_count"], OnnxAttribute.Int("axis", 0));
        return _graph.Node("Slice", "mask", ["full_mask", _graph.Integers("mask_start", 0, 0), "mask_end", _graph.Integers("mask_axes", 0, 1)]);
    }

    /// <summary>Pre-norm transformer block over the steps, [N, k, D]; a step sees itself and the steps before it.</summary>
    private string StepBlock(string name, string steps, string mask)
    {
        var (dim, heads) = (_config.Dim, _config.HeadCount);
        var normed = _layers.Norm($"{name}.norm1", steps, dim);
        var headsShape = _graph.Integers($"{name}.heads_shape", 0, 0, heads, dim / heads);
        string Heads(string part, params ReadOnlySpan<long> order)
        {
            var split = _graph.Node("Reshape", $"{name}.{part}.split", [_layers.Linear($"{name}.{part}", normed, dim, dim), headsShape]);
            return _graph.Node("Transpose", $"{name}.{part}.heads", [split], OnnxAttribute.Ints("perm", order));
        }

        var products = _graph.Node("MatMul", $"{name}.products", [Heads("q", 0, 2, 1, 3), Heads("k", 0, 2, 3, 1)]);
        var scaled = _graph.Node("Mul", $"{name}.scaled", [products, _graph.Number($"{name}.scale", (float)(1 / Math.Sqrt(dim / heads)))]);
        var scores = _graph.Node("Add", $"{name}.scores", [scaled, mask]);
        var weights = _graph.Node("Softmax", $"{name}.weights", [scores], OnnxAttribute.Int("axis", -1));
        var mixed = _graph.Node("MatMul", $"{name}.mixed", [weights, Heads("v", 0, 2, 1, 3)]);
        var back = _graph.Node("Transpose", $"{name}.mixed.back", [mixed], OnnxAttribute.Ints("perm", 0, 2, 1, 3));
        var joined = _graph.Node("Reshape", $"{name}.mixed.joined", [back, _graph.Integers($"{name}.joined_shape", 0, 0, dim)]);
        var residual = _graph.Node("Add", $"{name}.attended", [steps, _layers.Linear($"{name}.o", joined, dim, dim)]);
        return _layers.Mlp(name, residual, _layers.Norm($"{name}.norm2", residual, dim), dim);
    }
}
