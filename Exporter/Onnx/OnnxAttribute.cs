using Google.Protobuf;
using Tessera.Protos.Onnx;
using static Tessera.Protos.Onnx.AttributeProto.Types;

namespace Tessera.Exporter.Onnx;

/// <summary>Attributes of nodes.</summary>
internal static class OnnxAttribute
{
    /// <summary>A whole number.</summary>
    public static AttributeProto Int(string name, long value) => new() { Name = name, Type = AttributeType.Int, I = value };

    /// <summary>A number.</summary>
    public static AttributeProto Float(string name, float value) => new() { Name = name, Type = AttributeType.Float, F = value };

    /// <summary>A list of whole numbers.</summary>
    public static AttributeProto Ints(string name, params ReadOnlySpan<long> values)
    {
        var attribute = new AttributeProto { Name = name, Type = AttributeType.Ints };
        attribute.Ints.AddRange(values.ToArray());
        return attribute;
    }

    /// <summary>A word.</summary>
    public static AttributeProto Text(string name, string value) => new() { Name = name, Type = AttributeType.String, S = ByteString.CopyFromUtf8(value) };
}
