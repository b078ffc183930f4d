using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Extension;

/// <summary>Writes a safetensors file again with more rows in some of its tables; everything else keeps its bytes.</summary>
internal static class SafeTensorsRewriter
{
    private const int HeaderAlignment = 8;

    /// <summary>Rewrites.</summary>
    /// <param name="source">The file.</param>
    /// <param name="target">The file to make.</param>
    /// <param name="tables">Tensors [rows, ...] that get another number of rows.</param>
    /// <param name="rows">The rows.</param>
    /// <param name="writeTable">Writes such a table.</param>
    public static void Rewrite(SafeTensorsFile source, string target, IReadOnlyCollection<string> tables, int rows, Action<SafeTensor, Stream> writeTable)
    {
        var tensors = source.Tensors.Values.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteCount).ToList();
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        var end = 0L;
        foreach (var tensor in tensors)
        {
            long[] shape = tables.Contains(tensor.Name) ? [rows, .. tensor.Shape.Skip(1)] : [.. tensor.Shape];
            var bytes = shape.Aggregate((long)tensor.Type.ByteSize(), static (product, size) => checked(product * size));
            header[tensor.Name] = new JsonObject
            {
                ["dtype"] = tensor.Type.ToString().ToUpperInvariant(),
                ["shape"] = new JsonArray([.. shape.Select(size => JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(end, end + bytes),
            };
            end += bytes;
        }

        using var stream = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 20);
        WriteHeader(stream, header.ToJsonString());
        foreach (var tensor in tensors)
        {
            if (tables.Contains(tensor.Name))
            {
                writeTable(tensor, stream);
            }
            else
            {
                Copy(source, tensor, tensor.ByteCount, stream);
            }
        }

        if (stream.Position != stream.Length || stream.Length < end)
        {
            throw new InvalidOperationException($"{target} has {stream.Length} bytes, expected at least {end}.");
        }
    }

    /// <summary>Copies the first bytes of a tensor.</summary>
    public static void Copy(SafeTensorsFile source, SafeTensor tensor, long byteCount, Stream stream)
    {
        var buffer = new byte[Math.Min(byteCount, 1 << 20)];
        for (var done = 0L; done < byteCount; done += buffer.Length)
        {
            var part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, byteCount - done));
            source.ReadBytes(tensor, done, part);
            stream.Write(part);
        }
    }

    private static void WriteHeader(Stream stream, string json)
    {
        var text = Encoding.UTF8.GetBytes(json);
        var padded = (text.Length + HeaderAlignment - 1) / HeaderAlignment * HeaderAlignment;
        var length = new byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)padded);
        stream.Write(length);
        stream.Write(text);
        for (var i = text.Length; i < padded; i++)
        {
            stream.WriteByte((byte)' ');
        }
    }
}
