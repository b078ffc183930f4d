using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Onnx;

/// <summary>One dimension of a graph input or output: a number, or a name for what is known only at run time.</summary>
internal readonly record struct OnnxDimension
{
    private readonly long _value;
    private readonly string? _name;

    private OnnxDimension(long value, string? name)
    {
        _value = value;
        _name = name;
    }

    /// <summary>A fixed dimension.</summary>
    public static implicit operator OnnxDimension(long value) => new(value, null);

    /// <summary>A dimension known only at run time; equal names are equal sizes.</summary>
    public static implicit operator OnnxDimension(string name) => new(0, name);

    /// <summary>The protobuf form.</summary>
    public TensorShapeProto.Types.Dimension ToProto() =>
        _name is null ? new TensorShapeProto.Types.Dimension { DimValue = _value } : new TensorShapeProto.Types.Dimension { DimParam = _name };
}
