using Tessera.Protos.Onnx;

namespace Tessera.Models.Packaging;

/// <summary>Compares a graph's inputs and outputs with what the engine will bind to them.</summary>
internal static class GraphContract
{
    // A dimension that must stay open because the engine varies it.
    private const long Open = -1;

    /// <summary>Checks decoder.onnx.</summary>
    public static void CheckDecoder(GraphProto graph, Architecture architecture, string kvPrecision)
    {
        var kvType = OnnxTypes.OfKv(kvPrecision);
        long[] kv = [Open, architecture.KvHeadCount, architecture.MaxPositions, architecture.HeadDim];
        List<Port> inputs =
        [
            new("input_ids", OnnxTypes.Int64, [Open, Open]),
            new("seqlens_k", OnnxTypes.Int32, [Open]),
            new("total_sequence_length", OnnxTypes.Int32, []),
            new("logits_rows", OnnxTypes.Int64, [Open]),
        ];
        if (architecture.NgramEmbeddings > 0)
            inputs.Add(new Port("previous_ids", OnnxTypes.Int64, [Open, architecture.NgramEmbeddings]));
        List<Port> outputs = [new("logits", OnnxTypes.Float, [Open, architecture.VocabularySize])];
        for (var layer = 0; layer < architecture.LayerCount; layer++)
        {
            inputs.Add(new Port($"past_key_{layer}", kvType, kv));
            inputs.Add(new Port($"past_value_{layer}", kvType, kv));
            outputs.Add(new Port($"present_key_{layer}", kvType, kv));
            outputs.Add(new Port($"present_value_{layer}", kvType, kv));
        }

        Check(ModelPackage.DecoderFileName, graph, inputs, outputs, "logits");
    }

    /// <summary>Checks codebook-decoder.onnx.</summary>
    public static void CheckCodebookDecoder(GraphProto graph, Codebook codebook) => Check(
        ModelPackage.CodebookDecoderFileName,
        graph,
        [new("codes", OnnxTypes.Int64, [Open, Open]), new("prompt_ids", OnnxTypes.Int64, [Open, Open])],
        [new("text_logits", OnnxTypes.Float, [Open, Open, codebook.ChunkTokens, codebook.TextVocabularySize])],
        "text_logits");

    /// <summary>Checks codebook-encoder.onnx.</summary>
    public static void CheckCodebookEncoder(GraphProto graph) => Check(
        ModelPackage.CodebookEncoderFileName,
        graph,
        [new("text_ids", OnnxTypes.Int64, [Open, Open]), new("prompt_ids", OnnxTypes.Int64, [Open, Open])],
        [new("codes", OnnxTypes.Int64, [Open, Open])],
        null);

    private static void Check(string file, GraphProto graph, IReadOnlyList<Port> inputs, IReadOnlyList<Port> outputs, string? fixedWidth)
    {
        CheckPorts(file, "input", graph.Input, inputs, null);
        CheckPorts(file, "output", graph.Output, outputs, fixedWidth);
    }

    private static void CheckPorts(string file, string direction, IReadOnlyList<ValueInfoProto> found, IReadOnlyList<Port> expected, string? fixedWidth)
    {
        var byName = new Dictionary<string, ValueInfoProto>(StringComparer.Ordinal);
        foreach (var value in found)
        {
            if (!byName.TryAdd(value.Name, value))
                throw new ModelPackageException(file, $"{direction} {value.Name}", "each name once", "it again");
            if (expected.All(port => port.Name != value.Name))
            {
                throw new ModelPackageException(
                    file, $"{direction} {value.Name}", $"only {string.Join(", ", expected.Select(port => port.Name))}", "another name");
            }
        }

        foreach (var port in expected)
        {
            if (!byName.TryGetValue(port.Name, out var value))
                throw new ModelPackageException(file, $"{direction} {port.Name}", $"an {direction} of this name", "none");
            CheckPort(file, $"{direction} {port.Name}", value, port, port.Name == fixedWidth);
        }
    }

    private static void CheckPort(string file, string field, ValueInfoProto value, Port port, bool needsFixedWidth)
    {
        if (value.Type?.ValueCase != TypeProto.ValueOneofCase.TensorType)
            throw new ModelPackageException(file, field, "a tensor", "another type");
        var tensor = value.Type.TensorType;
        if (tensor.ElemType != port.ElementType)
            throw new ModelPackageException(file, field, OnnxTypes.NameOf(port.ElementType), OnnxTypes.NameOf(tensor.ElemType));
        var found = tensor.Shape?.Dim ?? throw new ModelPackageException(file, field, port.Describe(), "no shape");
        // One number may come as a scalar or as a vector of one.
        if (port.Shape.Length == 0 && found.Count == 1 && found[0] is { ValueCase: TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue, DimValue: 1 })
            return;
        var fits = found.Count == port.Shape.Length;
        for (var i = 0; fits && i < found.Count; i++)
            fits = Fits(found[i], port.Shape[i], needsFixedWidth && i == found.Count - 1);
        if (!fits)
            throw new ModelPackageException(file, field, port.Describe(), $"[{string.Join(", ", found.Select(Describe))}]");
    }

    private static bool Fits(TensorShapeProto.Types.Dimension found, long expected, bool mustBeFixed) =>
        found.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue
            ? found.DimValue == expected
            : !mustBeFixed;

    private static string Describe(TensorShapeProto.Types.Dimension dimension) =>
        dimension.ValueCase == TensorShapeProto.Types.Dimension.ValueOneofCase.DimValue ? $"{dimension.DimValue}" : "?";

    private sealed record Port(string Name, int ElementType, long[] Shape)
    {
        public string Describe() => $"[{string.Join(", ", Shape.Select(size => size == Open ? "?" : $"{size}"))}]";
    }
}
