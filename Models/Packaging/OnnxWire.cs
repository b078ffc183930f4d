namespace Tessera.Models.Packaging;

/// <summary>
/// Walks the wire form of an ONNX file before it is parsed: refuses fields outside the subset that the checks know (what they do not see they cannot
/// check, such as functions with tensors of their own) and bounds the number of messages, which take far more memory than their two bytes in the file.
/// </summary>
internal sealed class OnnxWire
{
    private const int MaxDepth = 64;
    private const int MaxMessages = 1_000_000;

    private static readonly Dictionary<string, Dictionary<int, string?>> Subset = CreateSubset();

    private readonly string _file;
    private int _messageCount;

    private OnnxWire(string file) => _file = file;

    /// <summary>Checks a whole file.</summary>
    /// <exception cref="ModelPackageException">It is not the subset.</exception>
    public static void Check(string file, ReadOnlySpan<byte> model) => new OnnxWire(file).CheckMessage("ModelProto", model, 0);

    private void CheckMessage(string type, ReadOnlySpan<byte> bytes, int depth)
    {
        if (depth > MaxDepth)
            throw Fail(type, $"at most {MaxDepth} levels of messages", "more");
        if (++_messageCount > MaxMessages)
            throw Fail(type, $"at most {MaxMessages} messages", "more");
        var fields = Subset[type];
        while (!bytes.IsEmpty)
        {
            var tag = ReadVarint(type, ref bytes);
            var (number, wireType) = ((long)(tag >> 3), (int)(tag & 7));
            if (number > int.MaxValue || !fields.TryGetValue((int)number, out var child))
                throw Fail(type, "fields of the ONNX subset", $"field {number}");
            var content = ReadContent(type, wireType, ref bytes);
            if (child is null)
                continue;
            if (wireType != 2)
                throw Fail(type, $"a message in field {number}", $"wire type {wireType}");
            CheckMessage(child, content, depth + 1);
        }
    }

    private ReadOnlySpan<byte> ReadContent(string type, int wireType, ref ReadOnlySpan<byte> bytes)
    {
        var length = wireType switch
        {
            0 => VarintLength(type, bytes),
            1 => (ulong)sizeof(ulong),
            2 => ReadVarint(type, ref bytes),
            5 => (ulong)sizeof(uint),
            _ => throw Fail(type, "a protobuf message", $"wire type {wireType}"),
        };
        if (length > (ulong)bytes.Length)
            throw Fail(type, $"{length} bytes", $"{bytes.Length} (the file ends)");
        var content = bytes[..(int)length];
        bytes = bytes[(int)length..];
        return content;
    }

    private ulong VarintLength(string type, ReadOnlySpan<byte> bytes)
    {
        var rest = bytes;
        ReadVarint(type, ref rest);
        return (ulong)(bytes.Length - rest.Length);
    }

    private ulong ReadVarint(string type, ref ReadOnlySpan<byte> bytes)
    {
        ulong value = 0;
        for (var i = 0; i < 10 && i < bytes.Length; i++)
        {
            value |= (ulong)(bytes[i] & 0x7F) << (7 * i);
            if (bytes[i] < 0x80)
            {
                bytes = bytes[(i + 1)..];
                return value;
            }
        }

        throw Fail(type, "a protobuf message", "a broken number");
    }

    private ModelPackageException Fail(string type, string expected, string found) => new(_file, type, expected, found);

    private static Dictionary<string, Dictionary<int, string?>> CreateSubset() => new()
    {
        ["ModelProto"] = Fields([1, 2, 3, 4, 5, 6], (7, "GraphProto"), (8, "OperatorSetIdProto"), (14, "StringStringEntryProto")),
        ["OperatorSetIdProto"] = Fields([1, 2]),
        ["StringStringEntryProto"] = Fields([1, 2]),
        ["GraphProto"] = Fields(
            [2, 10], (1, "NodeProto"), (5, "TensorProto"), (11, "ValueInfoProto"), (12, "ValueInfoProto"), (13, "ValueInfoProto"), (15, "SparseTensorProto")),
        ["NodeProto"] = Fields([1, 2, 3, 4, 6, 7], (5, "AttributeProto")),
        ["AttributeProto"] = Fields(
            [1, 2, 3, 4, 7, 8, 9, 13, 20],
            (5, "TensorProto"), (6, "GraphProto"), (10, "TensorProto"), (11, "GraphProto"), (22, "SparseTensorProto"), (23, "SparseTensorProto")),
        ["TensorProto"] = Fields([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14], (13, "StringStringEntryProto")),
        ["SparseTensorProto"] = Fields([3], (1, "TensorProto"), (2, "TensorProto")),
        ["ValueInfoProto"] = Fields([1, 3], (2, "TypeProto")),
        ["TypeProto"] = Fields([6], (1, "TypeProto.Tensor")),
        ["TypeProto.Tensor"] = Fields([1], (2, "TensorShapeProto")),
        ["TensorShapeProto"] = Fields([], (1, "TensorShapeProto.Dimension")),
        ["TensorShapeProto.Dimension"] = Fields([1, 2, 3]),
    };

    private static Dictionary<int, string?> Fields(int[] leaves, params (int Number, string Type)[] messages) =>
        leaves.Select(number => KeyValuePair.Create(number, (string?)null))
            .Concat(messages.Select(message => KeyValuePair.Create(message.Number, (string?)message.Type)))
            .ToDictionary();
}
