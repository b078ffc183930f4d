using System.Runtime.InteropServices;
using Google.Protobuf;
using Tessera.Exporter.Onnx;
using Tessera.Exporter.Packaging;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Graphs;

/// <summary>Gives a decoder's cache 8 bits: one scale per element of a head, fixed from the ranges that were measured.</summary>
internal static class KvQuantizer
{
    private const int KeyScaleInput = 12;

    // What is served later may reach further than what was measured; beyond the range values are cut off.
    private const float Margin = 1.1f;

    /// <summary>Rewrites the graph file; its data stays.</summary>
    public static void Quantize(string decoder, KvRanges ranges)
    {
        var model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(decoder));
        var layer = 0;
        foreach (var node in model.Graph.Node.Where(node => node.OpType == "GroupQueryAttention"))
        {
            // 9 to 11 are position ids, bias and sinks, which these graphs do not have.
            while (node.Input.Count < KeyScaleInput)
            {
                node.Input.Add("");
            }

            node.Input.Add(AddScales(model.Graph, $"layers.{layer}.key_scales", ranges.Keys[layer]));
            node.Input.Add(AddScales(model.Graph, $"layers.{layer}.value_scales", ranges.Values[layer]));
            node.Attribute.Add(OnnxAttribute.Text("k_quant_type", "PER_CHANNEL"));
            node.Attribute.Add(OnnxAttribute.Text("v_quant_type", "PER_CHANNEL"));
            node.Attribute.Add(OnnxAttribute.Int("kv_cache_bit_width", 8));
            layer++;
        }

        foreach (var port in model.Graph.Input.Concat(model.Graph.Output).Where(port => IsCache(port.Name)))
        {
            port.Type.TensorType.ElemType = (int)OnnxElementType.Int8;
        }

        using var stream = new FileStream(decoder, FileMode.Create, FileAccess.Write, FileShare.None);
        model.WriteTo(stream);
    }

    private static bool IsCache(string name) =>
        name.StartsWith("past_", StringComparison.Ordinal) || name.StartsWith("present_", StringComparison.Ordinal);

    private static string AddScales(GraphProto graph, string name, float[] ranges)
    {
        var scales = Array.ConvertAll(ranges, range => range > 0 ? range * Margin / 127 : 1f / 127);
        var tensor = new TensorProto { Name = name, DataType = (int)OnnxElementType.Float, RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes<float>(scales)) };
        tensor.Dims.Add(scales.Length);
        graph.Initializer.Add(tensor);
        return name;
    }
}
