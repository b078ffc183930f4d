using System.Runtime.InteropServices;
using Google.Protobuf;
using Tessera.Protos.Onnx;

namespace Tessera.Testing.Graphs;

/// <summary>Writes small ONNX graphs, so that tests run the real runtime on graphs whose content they know.</summary>
public sealed class OnnxGraphBuilder
{
    /// <summary>Domain of the runtime's own operators.</summary>
    public const string ContribDomain = "com.microsoft";

    /// <summary>Element type f32.</summary>
    public const int F32 = 1;

    /// <summary>Element type u8.</summary>
    public const int U8 = 2;

    /// <summary>Element type i8.</summary>
    public const int I8 = 3;

    /// <summary>Element type i32.</summary>
    public const int I32 = 6;

    /// <summary>Element type i64.</summary>
    public const int I64 = 7;

    private readonly GraphProto _graph = new() { Name = "graph" };

    /// <summary>Adds an input; an axis is a number or a name.</summary>
    public OnnxGraphBuilder Input(string name, int type, params object[] shape)
    {
        _graph.Input.Add(Value(name, type, shape));
        return this;
    }

    /// <summary>Adds an output; an axis is a number or a name.</summary>
    public OnnxGraphBuilder Output(string name, int type, params object[] shape)
    {
        _graph.Output.Add(Value(name, type, shape));
        return this;
    }

    /// <summary>Adds a constant of f32.</summary>
    public OnnxGraphBuilder Constant(string name, ReadOnlySpan<float> elements, params long[] shape) => Constant(name, F32, MemoryMarshal.AsBytes(elements), shape);

    /// <summary>Adds a constant of i64.</summary>
    public OnnxGraphBuilder Constant(string name, ReadOnlySpan<long> elements, params long[] shape) => Constant(name, I64, MemoryMarshal.AsBytes(elements), shape);

    /// <summary>Adds a constant of i8.</summary>
    public OnnxGraphBuilder Constant(string name, ReadOnlySpan<sbyte> elements, params long[] shape) => Constant(name, I8, MemoryMarshal.AsBytes(elements), shape);

    /// <summary>Adds a constant of u8.</summary>
    public OnnxGraphBuilder Constant(string name, ReadOnlySpan<byte> elements, params long[] shape) => Constant(name, U8, elements, shape);

    /// <summary>Adds a node of the standard domain.</summary>
    public OnnxGraphBuilder Node(string type, string[] inputs, string[] outputs, params (string Name, object Value)[] attributes) =>
        Node("", type, inputs, outputs, attributes);

    /// <summary>Adds a node; an attribute is an int, a float, a text or a long array.</summary>
    public OnnxGraphBuilder Node(string domain, string type, string[] inputs, string[] outputs, params (string Name, object Value)[] attributes)
    {
        var node = new NodeProto { OpType = type, Domain = domain, Name = $"{type}_{_graph.Node.Count}" };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        node.Attribute.AddRange(attributes.Select(attribute => Attribute(attribute.Name, attribute.Value)));
        _graph.Node.Add(node);
        return this;
    }

    /// <summary>The model.</summary>
    public ModelProto Build()
    {
        var model = new ModelProto { IrVersion = 8, ProducerName = "tessera-tests", Graph = _graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 17 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = ContribDomain, Version = 1 });
        return model;
    }

    /// <summary>Writes the model.</summary>
    public string Save(string path)
    {
        File.WriteAllBytes(path, Build().ToByteArray());
        return path;
    }

    private OnnxGraphBuilder Constant(string name, int type, ReadOnlySpan<byte> bytes, long[] shape)
    {
        var tensor = new TensorProto { Name = name, DataType = type, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(shape);
        _graph.Initializer.Add(tensor);
        return this;
    }

    private static ValueInfoProto Value(string name, int type, object[] shape)
    {
        var axes = new TensorShapeProto();
        foreach (var axis in shape)
        {
            axes.Dim.Add(axis is string symbol
                ? new TensorShapeProto.Types.Dimension { DimParam = symbol }
                : new TensorShapeProto.Types.Dimension { DimValue = Convert.ToInt64(axis) });
        }

        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = type, Shape = axes } } };
    }

    private static AttributeProto Attribute(string name, object value)
    {
        var attribute = new AttributeProto { Name = name };
        switch (value)
        {
            case int number:
                attribute.Type = AttributeProto.Types.AttributeType.Int;
                attribute.I = number;
                break;
            case float number:
                attribute.Type = AttributeProto.Types.AttributeType.Float;
                attribute.F = number;
                break;
            case string text:
                attribute.Type = AttributeProto.Types.AttributeType.String;
                attribute.S = ByteString.CopyFromUtf8(text);
                break;
            case long[] numbers:
                attribute.Type = AttributeProto.Types.AttributeType.Ints;
                attribute.Ints.AddRange(numbers);
                break;
            default:
                throw new ArgumentException($"no attribute type for {value.GetType().Name}", nameof(value));
        }

        return attribute;
    }
}
