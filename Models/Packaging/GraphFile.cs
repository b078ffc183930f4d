using Google.Protobuf;
using Tessera.Protos.Onnx;

namespace Tessera.Models.Packaging;

/// <summary>Parses a graph and checks what it may refer to: operators, and data in other files.</summary>
internal sealed class GraphFile
{
    /// <summary>A larger file is refused unread; large weights belong into external data.</summary>
    public const int MaxBytes = 512 * 1024 * 1024;

    private const int MaxGraphDepth = 16;

    // Operators of allowed domains that read a file or run foreign code by themselves.
    private static readonly HashSet<string> RefusedOperators = new(StringComparer.Ordinal) { "EPContext", "PythonOp", "PythonOpGrad", "ExternalStream" };

    private readonly string _file;
    private readonly IReadOnlyDictionary<string, long> _sizes;

    private GraphFile(string file, IReadOnlyDictionary<string, long> sizes)
    {
        _file = file;
        _sizes = sizes;
    }

    /// <summary>Parses and checks the graph in <paramref name="bytes"/>.</summary>
    /// <param name="file">Its name in the package.</param>
    /// <param name="bytes">The whole file.</param>
    /// <param name="sizes">Bytes of every file that the manifest lists.</param>
    /// <exception cref="ModelPackageException">Names the tensor or operator, what was expected and what was found.</exception>
    public static ModelProto Parse(string file, byte[] bytes, IReadOnlyDictionary<string, long> sizes)
    {
        OnnxWire.Check(file, bytes);
        ModelProto model;
        try
        {
            model = ModelProto.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException exception)
        {
            throw new ModelPackageException(file, "ModelProto", "an ONNX model", "a broken message", exception);
        }

        var graphFile = new GraphFile(file, sizes);
        if (model.Graph is null)
            throw graphFile.Fail("graph", "a graph", "none");
        foreach (var import in model.OpsetImport)
            graphFile.CheckDomain(import.Domain, "opset_import");
        graphFile.CheckGraph(model.Graph, 0);
        return model;
    }

    private void CheckGraph(GraphProto graph, int depth)
    {
        if (depth > MaxGraphDepth)
            throw Fail(graph.Name, $"at most {MaxGraphDepth} levels of subgraphs", "more");
        foreach (var tensor in graph.Initializer)
            CheckTensor(tensor);
        foreach (var sparse in graph.SparseInitializer)
            CheckSparse(sparse);
        foreach (var node in graph.Node)
        {
            CheckDomain(node.Domain, $"node {node.Name}");
            if (RefusedOperators.Contains(node.OpType))
                throw Fail($"node {node.Name}", "operators that compute from their inputs alone", node.OpType);
            foreach (var attribute in node.Attribute)
                CheckAttribute(attribute, depth);
        }
    }

    // Every member is checked whatever the attribute's declared type: the runtime may read another member than the declared one.
    private void CheckAttribute(AttributeProto attribute, int depth)
    {
        foreach (var tensor in attribute.T is null ? attribute.Tensors : attribute.Tensors.Append(attribute.T))
            CheckTensor(tensor);
        foreach (var sparse in attribute.SparseTensor is null ? attribute.SparseTensors : attribute.SparseTensors.Append(attribute.SparseTensor))
            CheckSparse(sparse);
        foreach (var graph in attribute.G is null ? attribute.Graphs : attribute.Graphs.Append(attribute.G))
            CheckGraph(graph, depth + 1);
    }

    private void CheckSparse(SparseTensorProto sparse)
    {
        if (sparse.Values is null || sparse.Indices is null)
            throw Fail("sparse tensor", "values and indices", "one of them");
        CheckTensor(sparse.Values);
        CheckTensor(sparse.Indices);
    }

    private void CheckTensor(TensorProto tensor)
    {
        switch (tensor.DataLocation)
        {
            case TensorProto.Types.DataLocation.Default when tensor.ExternalData.Count == 0:
                if (tensor.RawData.Length > 0 && tensor.RawData.Length != BytesOf(tensor))
                    throw Fail(tensor.Name, $"{BytesOf(tensor)} bytes of raw data", $"{tensor.RawData.Length}");
                break;
            case TensorProto.Types.DataLocation.External:
                if (tensor.RawData.Length > 0)
                    throw Fail(tensor.Name, "external data alone", "raw data beside it");
                CheckExternal(tensor);
                break;
            default:
                throw Fail(
                    tensor.Name, "data_location DEFAULT, or EXTERNAL with external_data", $"{tensor.DataLocation} with {tensor.ExternalData.Count} entries");
        }
    }

    private void CheckExternal(TensorProto tensor)
    {
        var entries = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in tensor.ExternalData)
        {
            if (entry.Key is not ("location" or "offset" or "length" or "checksum"))
                throw Fail($"{tensor.Name}.external_data", "location, offset, length, checksum", $"key {entry.Key}");
            if (!entries.TryAdd(entry.Key, entry.Value))
                throw Fail($"{tensor.Name}.external_data", "each key once", $"{entry.Key} again");
        }

        var location = entries.GetValueOrDefault("location", "");
        var field = $"{tensor.Name}.external_data.location";
        if (!PackagePath.IsContained(location))
            throw Fail(field, PackagePath.Rule, location);
        if (!_sizes.TryGetValue(location, out var size))
            throw Fail(field, "a file of the manifest", location);
        var offset = ReadNumber(tensor, entries, "offset", 0);
        var length = ReadNumber(tensor, entries, "length", null);
        if (length != BytesOf(tensor))
            throw Fail($"{tensor.Name}.external_data.length", $"{BytesOf(tensor)}, the bytes of the tensor", $"{length}");
        if (offset > size || length > size - offset)
            throw Fail($"{tensor.Name}.external_data.offset", $"a place within the {size} bytes of {location}", $"{offset} + {length}");
    }

    private long ReadNumber(TensorProto tensor, Dictionary<string, string> entries, string key, long? fallback)
    {
        if (!entries.TryGetValue(key, out var text))
            return fallback ?? throw Fail($"{tensor.Name}.external_data.{key}", "a number", "no such key");
        return long.TryParse(text, System.Globalization.NumberStyles.None, null, out var value)
            ? value
            : throw Fail($"{tensor.Name}.external_data.{key}", "a number of bytes", text);
    }

    private long BytesOf(TensorProto tensor)
    {
        try
        {
            long elements = 1;
            foreach (var dimension in tensor.Dims)
            {
                if (dimension < 0)
                    throw Fail($"{tensor.Name}.dims", "dimensions of zero or more", $"{dimension}");
                elements = checked(elements * dimension);
            }

            return OnnxTypes.BytesOf(tensor.DataType, elements)
                ?? throw Fail($"{tensor.Name}.data_type", "an element type of fixed size", $"{tensor.DataType}");
        }
        catch (OverflowException)
        {
            throw Fail($"{tensor.Name}.dims", "a size that fits 64 bits", $"[{string.Join(", ", tensor.Dims.Take(8))}]");
        }
    }

    private void CheckDomain(string domain, string field)
    {
        if (domain is not ("" or "ai.onnx" or "com.microsoft"))
            throw Fail(field, "the operator domain \"\" or com.microsoft", domain);
    }

    private ModelPackageException Fail(string field, string expected, string found) => new(_file, field, expected, found);
}
