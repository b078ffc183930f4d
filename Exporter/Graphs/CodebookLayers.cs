using Tessera.Exporter.Onnx;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Graphs;

/// <summary>The layers that the codebook graphs are made of, in standard ONNX operators. Names of nodes follow the names of the weights.</summary>
/// <param name="graph">Graph to add to.</param>
/// <param name="weights">Weights, in the layout of PyTorch ([out, in]).</param>
/// <param name="normEpsilon">Epsilon of the layer norms.</param>
internal sealed class CodebookLayers(OnnxGraphBuilder graph, SafeTensorsFile weights, float normEpsilon)
{
    /// <summary>x W^T + b over the last axis.</summary>
    /// <param name="name">Name of the layer.</param>
    /// <param name="input">What it takes.</param>
    /// <param name="inputs">Width of the input.</param>
    /// <param name="outputs">Width of the result.</param>
    /// <param name="output">Name of the result; that of the layer when not given.</param>
    public string Linear(string name, string input, int inputs, int outputs, string? output = null)
    {
        var product = graph.Node("MatMul", $"{name}.product", [input, TransposedWeight($"{name}.weight", inputs, outputs)]);
        return AddBias(name, product, outputs, output ?? name);
    }

    /// <summary>
    /// x W^T + b for x = [left, right] side by side, where right is the same for all steps: both parts get their own product, so that nothing is repeated.
    /// </summary>
    /// <param name="name">Name of the layer.</param>
    /// <param name="left">[N, k, leftInputs].</param>
    /// <param name="leftInputs">Columns of the weight that belong to left.</param>
    /// <param name="right">[N, 1, rightInputs].</param>
    /// <param name="rightInputs">Columns of the weight that belong to right.</param>
    /// <param name="outputs">Width of the result.</param>
    public string SplitLinear(string name, string left, int leftInputs, string right, int rightInputs, int outputs)
    {
        var transposed = Matrix.Transpose(
            weights.ReadFloats(weights.Require($"{name}.weight", outputs, leftInputs + rightInputs)), outputs, leftInputs + rightInputs);
        var cut = leftInputs * outputs;
        graph.Weights($"{name}.weight.left", transposed.AsSpan(0, cut), leftInputs, outputs);
        graph.Weights($"{name}.weight.right", transposed.AsSpan(cut), rightInputs, outputs);
        var sum = graph.Node(
            "Add",
            $"{name}.product",
            [
                graph.Node("MatMul", $"{name}.left", [left, $"{name}.weight.left"]),
                graph.Node("MatMul", $"{name}.right", [right, $"{name}.weight.right"]),
            ]);
        return AddBias(name, sum, outputs, name);
    }

    /// <summary>Layer norm over the last axis.</summary>
    public string Norm(string name, string input, int size) =>
        graph.Node(
            "LayerNormalization",
            name,
            [input, Vector($"{name}.weight", size), Vector($"{name}.bias", size)],
            OnnxAttribute.Int("axis", -1),
            OnnxAttribute.Float("epsilon", normEpsilon));

    /// <summary>x (1 + erf(x / sqrt 2)) / 2.</summary>
    public string Gelu(string name, string input)
    {
        var scaled = graph.Node("Mul", $"{name}.scaled", [input, graph.Number($"{name}.root_half", (float)Math.Sqrt(0.5))]);
        var error = graph.Node("Erf", $"{name}.erf", [scaled]);
        var shifted = graph.Node("Add", $"{name}.shifted", [error, graph.Number($"{name}.one", 1)]);
        var product = graph.Node("Mul", $"{name}.product", [input, shifted]);
        return graph.Node("Mul", name, [product, graph.Number($"{name}.half", 0.5f)]);
    }

    /// <summary>x + down(gelu(up(x))), where up has four times the width.</summary>
    public string Mlp(string name, string residual, string normed, int size)
    {
        var up = Linear($"{name}.up", normed, size, 4 * size);
        var down = Linear($"{name}.down", Gelu($"{name}.gelu", up), 4 * size, size);
        return graph.Node("Add", $"{name}.sum", [residual, down]);
    }

    /// <summary>A table whose rows are gathered, [rows, columns].</summary>
    /// <param name="source">Name in the weights.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="name">Name in the graph; that in the weights when not given.</param>
    public string Table(string source, int rows, int columns, string? name = null) =>
        graph.Weights(name ?? source, weights.ReadFloats(weights.Require(source, rows, columns)), rows, columns);

    private string AddBias(string name, string product, int size, string output) => graph.Node("Add", output, [product, Vector($"{name}.bias", size)]);

    private string Vector(string name, int size) => graph.Weights(name, weights.ReadFloats(weights.Require(name, size)), size);

    private string TransposedWeight(string name, int inputs, int outputs) =>
        graph.Weights(name, Matrix.Transpose(weights.ReadFloats(weights.Require(name, outputs, inputs)), outputs, inputs), inputs, outputs);
}
