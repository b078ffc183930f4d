using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;

namespace Tessera.Exporter.Tests.Support;

/// <summary>Writes safetensors files, valid ones and others.</summary>
internal sealed class SafeTensorsWriter
{
    private readonly ArrayBufferWriter<byte> _data = new();

    /// <summary>The header that will be written; tests may break it.</summary>
    public JsonObject Header { get; } = [];

    /// <summary>Adds a tensor of single-precision numbers.</summary>
    public SafeTensorsWriter Add(string name, float[] values, params long[] shape) => Add(name, "F32", MemoryMarshal.AsBytes(values.AsSpan()), shape);

    /// <summary>Adds a tensor of whole numbers.</summary>
    public SafeTensorsWriter Add(string name, long[] values, params long[] shape) => Add(name, "I64", MemoryMarshal.AsBytes(values.AsSpan()), shape);

    /// <summary>Adds a tensor of any type.</summary>
    public SafeTensorsWriter Add(string name, string dtype, ReadOnlySpan<byte> bytes, params long[] shape)
    {
        Header[name] = new JsonObject
        {
            ["dtype"] = dtype,
            ["shape"] = Array(shape),
            ["data_offsets"] = Array(_data.WrittenCount, _data.WrittenCount + bytes.Length),
        };
        _data.Write(bytes);
        return this;
    }

    /// <summary>Changes where the header says that a tensor is.</summary>
    public SafeTensorsWriter Move(string name, long begin, long end)
    {
        Header[name]!["data_offsets"] = Array(begin, end);
        return this;
    }

    /// <summary>The file.</summary>
    public byte[] ToBytes() => ToBytes(Header.ToJsonString(), _data.WrittenSpan.ToArray());

    /// <summary>A file of any header and data.</summary>
    public static byte[] ToBytes(string header, byte[] data)
    {
        var json = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[sizeof(ulong) + json.Length + data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)json.Length);
        json.CopyTo(bytes, sizeof(ulong));
        data.CopyTo(bytes, sizeof(ulong) + json.Length);
        return bytes;
    }

    private static JsonArray Array(params long[] values) => [.. values.Select(value => JsonValue.Create(value))];
}
