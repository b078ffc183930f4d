using System.Runtime.InteropServices;
using Google.Protobuf;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Onnx;

/// <summary>
/// Writes one ONNX graph. The same calls give the same bytes: names come from the caller, nothing depends on time or place.
/// Tensors from <see cref="InlineLimitBytes"/> on go to <c>NAME.onnx.data</c> beside the graph as they are added, so that one large tensor at a time
/// is in memory.
/// </summary>
internal sealed class OnnxGraphBuilder : IDisposable
{
    /// <summary>Smaller tensors stay inside the graph file.</summary>
    public const int InlineLimitBytes = 1 << 16;

    /// <summary>Domain of ONNX Runtime's own operators.</summary>
    public const string MicrosoftDomain = "com.microsoft";

    // ReduceMean and friends still take axes as an attribute in 17, and older checkers know it.
    private const int OperatorSet = 17;
    private const int IrVersion = 8;

    private readonly string _path;
    private readonly ExternalDataFile _external;
    private readonly GraphProto _graph;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private bool _usesMicrosoftDomain;

    /// <summary>Starts a graph.</summary>
    /// <param name="path">The .onnx file, which must not exist.</param>
    /// <param name="name">Name of the graph.</param>
    public OnnxGraphBuilder(string path, string name)
    {
        _path = path;
        _external = new ExternalDataFile(path + ".data");
        _graph = new GraphProto { Name = name };
    }

    /// <summary>Whether something of that name is there.</summary>
    public bool Has(string name) => _names.Contains(name);

    /// <summary>Declares an input and gives its name back.</summary>
    public string Input(string name, OnnxElementType type, params ReadOnlySpan<OnnxDimension> shape)
    {
        Claim(name);
        _graph.Input.Add(Value(name, type, shape));
        return name;
    }

    /// <summary>Declares an output; a node must produce it.</summary>
    public void Output(string name, OnnxElementType type, params ReadOnlySpan<OnnxDimension> shape) => _graph.Output.Add(Value(name, type, shape));

    /// <summary>Adds a tensor of weights in single precision.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="values">Elements in row-major order.</param>
    /// <param name="shape">Dimensions; their product is the number of elements.</param>
    public string Weights(string name, ReadOnlySpan<float> values, params ReadOnlySpan<long> shape)
    {
        var bytes = MemoryMarshal.AsBytes(values).ToArray();
        return Stored(name, OnnxElementType.Float, shape, stream => stream.Write(bytes));
    }

    /// <summary>Adds a tensor whose bytes are written as they are made, so that a large one is never in memory as a whole.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Type of its elements.</param>
    /// <param name="shape">Dimensions.</param>
    /// <param name="write">Writes the elements in row-major order, little endian.</param>
    public string Stored(string name, OnnxElementType type, ReadOnlySpan<long> shape, Action<Stream> write)
    {
        var tensor = Tensor(name, type, shape);
        var byteCount = BytesOf(tensor, type);
        if (byteCount < InlineLimitBytes)
        {
            using var memory = new MemoryStream();
            write(memory);
            tensor.RawData = ByteString.CopyFrom(memory.GetBuffer().AsSpan(0, (int)memory.Length));
            if (memory.Length != byteCount)
            {
                throw new InvalidOperationException($"Tensor '{name}' has {byteCount} bytes; {memory.Length} were written.");
            }
        }
        else
        {
            _external.Append(tensor, byteCount, write);
        }

        return name;
    }

    /// <summary>Adds a tensor whose bytes lie in a file that will be beside the graph.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Type of its elements.</param>
    /// <param name="shape">Dimensions.</param>
    /// <param name="location">Name of the file.</param>
    /// <param name="offset">First byte in it.</param>
    public string Reference(string name, OnnxElementType type, ReadOnlySpan<long> shape, string location, long offset)
    {
        var tensor = Tensor(name, type, shape);
        ExternalDataFile.Point(tensor, location, offset, BytesOf(tensor, type));
        return name;
    }

    /// <summary>Adds another tensor over the bytes of one that is there, with a shape of its own.</summary>
    public string SameBytes(string name, string existing, ReadOnlySpan<long> shape)
    {
        var source = _graph.Initializer.First(tensor => tensor.Name == existing);
        var tensor = Tensor(name, (OnnxElementType)source.DataType, shape);
        tensor.RawData = source.RawData;
        tensor.DataLocation = source.DataLocation;
        tensor.ExternalData.AddRange(source.ExternalData.Select(entry => entry.Clone()));
        return name;
    }

    /// <summary>Adds a small list of whole numbers (axes, shapes, slices).</summary>
    public string Integers(string name, params ReadOnlySpan<long> values)
    {
        Tensor(name, OnnxElementType.Int64, [values.Length]).RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(values));
        return name;
    }

    /// <summary>Adds one whole number as a scalar.</summary>
    public string Integer(string name, long value)
    {
        Tensor(name, OnnxElementType.Int64, []).RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(new ReadOnlySpan<long>(in value)));
        return name;
    }

    /// <summary>Adds one small number as a scalar of 8 bits.</summary>
    public string Byte(string name, byte value)
    {
        Tensor(name, OnnxElementType.UInt8, []).RawData = ByteString.CopyFrom(value);
        return name;
    }

    /// <summary>Adds one number as a scalar.</summary>
    public string Number(string name, float value)
    {
        Tensor(name, OnnxElementType.Float, []).RawData = ByteString.CopyFrom(MemoryMarshal.AsBytes(new ReadOnlySpan<float>(in value)));
        return name;
    }

    /// <summary>Adds a node of standard ONNX with one output.</summary>
    /// <param name="operatorType">The operator.</param>
    /// <param name="output">Name of its output, and of the node.</param>
    /// <param name="inputs">Names of its inputs.</param>
    /// <param name="attributes">Its attributes.</param>
    public string Node(string operatorType, string output, ReadOnlySpan<string> inputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        Node("", operatorType, [output], inputs, attributes);
        return output;
    }

    /// <summary>Adds a node of any domain.</summary>
    /// <param name="domain">Empty for standard ONNX.</param>
    /// <param name="operatorType">The operator.</param>
    /// <param name="outputs">Names of its outputs, empty for one that is not wanted; the first one names the node.</param>
    /// <param name="inputs">Names of its inputs, empty for one that is left out.</param>
    /// <param name="attributes">Its attributes.</param>
    public void Node(
        string domain, string operatorType, ReadOnlySpan<string> outputs, ReadOnlySpan<string> inputs, params ReadOnlySpan<AttributeProto> attributes)
    {
        var node = new NodeProto { Name = outputs[0], OpType = operatorType, Domain = domain };
        foreach (var input in inputs)
        {
            if (input.Length > 0 && !_names.Contains(input))
            {
                throw new InvalidOperationException($"Node '{outputs[0]}' reads '{input}', which nothing before it gives.");
            }

            node.Input.Add(input);
        }

        foreach (var output in outputs)
        {
            if (output.Length > 0)
            {
                Claim(output);
            }

            node.Output.Add(output);
        }

        node.Attribute.AddRange(attributes.ToArray());
        _graph.Node.Add(node);
        _usesMicrosoftDomain |= domain == MicrosoftDomain;
    }

    /// <summary>Writes the graph file; the data file is complete then.</summary>
    public void Save()
    {
        foreach (var output in _graph.Output)
        {
            if (!_names.Contains(output.Name))
            {
                throw new InvalidOperationException($"Nothing gives the output '{output.Name}'.");
            }
        }

        var model = new ModelProto { IrVersion = IrVersion, ProducerName = "tessera-export", ProducerVersion = ProducerVersion, Graph = _graph };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = OperatorSet });
        if (_usesMicrosoftDomain)
        {
            model.OpsetImport.Add(new OperatorSetIdProto { Domain = MicrosoftDomain, Version = 1 });
        }

        _external.Dispose();
        using var stream = new FileStream(_path, FileMode.CreateNew, FileAccess.Write, FileShare.None);
        model.WriteTo(stream);
    }

    /// <inheritdoc />
    public void Dispose() => _external.Dispose();

    private static string ProducerVersion { get; } = typeof(OnnxGraphBuilder).Assembly.GetName().Version?.ToString(3) ?? "";

    private static ValueInfoProto Value(string name, OnnxElementType type, ReadOnlySpan<OnnxDimension> shape)
    {
        var shapeProto = new TensorShapeProto();
        foreach (var dimension in shape)
        {
            shapeProto.Dim.Add(dimension.ToProto());
        }

        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shapeProto };
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = tensor } };
    }

    private TensorProto Tensor(string name, OnnxElementType type, ReadOnlySpan<long> shape)
    {
        var tensor = new TensorProto { Name = name, DataType = (int)type };
        tensor.Dims.AddRange(shape.ToArray());
        Claim(name);
        _graph.Initializer.Add(tensor);
        return tensor;
    }

    private static long BytesOf(TensorProto tensor, OnnxElementType type) =>
        tensor.Dims.Aggregate((long)type.ByteSize(), static (product, dimension) => checked(product * dimension));

    private void Claim(string name)
    {
        if (!_names.Add(name))
        {
            throw new InvalidOperationException($"The name '{name}' is given twice.");
        }
    }
}
