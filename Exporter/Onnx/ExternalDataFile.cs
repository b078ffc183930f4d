using System.Runtime.InteropServices;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Onnx;

/// <summary>The file beside a graph that holds its large tensors, each aligned so that the runtime can map it.</summary>
internal sealed class ExternalDataFile(string path) : IDisposable
{
    /// <summary>Every tensor starts at a multiple of this: one page.</summary>
    public const int Alignment = 4096;

    private FileStream? _stream;

    /// <summary>Appends the elements and lets the tensor point to them.</summary>
    /// <param name="tensor">Gets location, offset and length.</param>
    /// <param name="values">Elements in row-major order.</param>
    public void Append(TensorProto tensor, ReadOnlySpan<float> values)
    {
        _stream ??= new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        var offset = (_stream.Position + Alignment - 1) / Alignment * Alignment;
        _stream.Write(new byte[offset - _stream.Position]);
        var bytes = MemoryMarshal.AsBytes(values);
        _stream.Write(bytes);

        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = Path.GetFileName(path) });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{offset}" });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = $"{(long)values.Length * sizeof(float)}" });
    }

    /// <inheritdoc />
    public void Dispose() => _stream?.Dispose();
}
