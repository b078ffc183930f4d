using System.Runtime.InteropServices;
using Google.Protobuf;
using Tessera.Protos.Onnx;

namespace Tessera.Testing;

/// <summary>Short forms of the ONNX messages that test graphs are made of.</summary>
public static class OnnxParts
{
    /// <summary>Element type float32.</summary>
    public const int FloatType = 1;

    /// <summary>Element type int32.</summary>
    public const int Int32Type = 6;

    /// <summary>Element type int64.</summary>
    public const int Int64Type = 7;

    /// <summary>A model of one graph: opset 17 and com.microsoft 1.</summary>
    public static ModelProto Model(GraphProto graph) => new()
    {
        IrVersion = 8,
        Graph = graph,
        OpsetImport = { new OperatorSetIdProto { Version = 17 }, new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 } },
    };

    /// <summary>An operator with one output, named after it.</summary>
    public static NodeProto Node(string type, IEnumerable<string> inputs, string output)
    {
        var node = new NodeProto { OpType = type, Name = output, Output = { output } };
        node.Input.AddRange(inputs);
        return node;
    }

    /// <summary>An input or output; no dimensions = a scalar.</summary>
    public static ValueInfoProto Port(string name, int elementType, params TensorShapeProto.Types.Dimension[] shape)
    {
        var tensor = new TypeProto.Types.Tensor { ElemType = elementType, Shape = new TensorShapeProto() };
        tensor.Shape.Dim.AddRange(shape.Select(dimension => dimension.Clone()));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }

    /// <summary>A dimension that varies.</summary>
    public static TensorShapeProto.Types.Dimension Open(string name) => new() { DimParam = name };

    /// <summary>A dimension that does not.</summary>
    public static TensorShapeProto.Types.Dimension Fixed(long size) => new() { DimValue = size };

    /// <summary>A tensor in the graph itself.</summary>
    public static TensorProto Inline(string name, int elementType, IEnumerable<long> dims, ReadOnlySpan<byte> bytes)
    {
        var tensor = new TensorProto { Name = name, DataType = elementType, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(dims);
        return tensor;
    }

    /// <summary>An int64 vector in the graph itself.</summary>
    public static TensorProto Vector(string name, params long[] values) => Inline(name, Int64Type, [values.Length], MemoryMarshal.AsBytes<long>(values));

    /// <summary>A tensor of 4-byte elements in another file.</summary>
    public static TensorProto External(string name, int elementType, long[] dims, string location, long offset)
    {
        var tensor = new TensorProto { Name = name, DataType = elementType, DataLocation = TensorProto.Types.DataLocation.External };
        tensor.Dims.AddRange(dims);
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{offset}" });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = $"{dims.Aggregate(4L, (product, size) => product * size)}" });
        return tensor;
    }
}
