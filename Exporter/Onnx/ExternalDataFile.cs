using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Onnx;

/// <summary>The file beside a graph that holds its large tensors, each aligned so that the runtime can map it.</summary>
internal sealed class ExternalDataFile(string path) : IDisposable
{
    /// <summary>Every tensor starts at a multiple of this: one page.</summary>
    public const int Alignment = 4096;

    private const int BufferBytes = 1 << 20;

    private FileStream? _stream;

    /// <summary>Appends a tensor's elements and lets the tensor point to them.</summary>
    /// <param name="tensor">Gets location, offset and length.</param>
    /// <param name="byteCount">Its bytes.</param>
    /// <param name="write">Writes them; exactly as many.</param>
    public void Append(TensorProto tensor, long byteCount, Action<Stream> write)
    {
        _stream ??= new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, BufferBytes);
        var offset = (_stream.Position + Alignment - 1) / Alignment * Alignment;
        _stream.Write(new byte[offset - _stream.Position]);
        write(_stream);
        if (_stream.Position - offset != byteCount)
        {
            throw new InvalidOperationException($"Tensor '{tensor.Name}' has {byteCount} bytes; {_stream.Position - offset} were written.");
        }

        Point(tensor, Path.GetFileName(path), offset, byteCount);
    }

    /// <summary>Lets a tensor point to a stretch of a file beside the graph.</summary>
    public static void Point(TensorProto tensor, string location, long offset, long byteCount)
    {
        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = location });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{offset}" });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = $"{byteCount}" });
    }

    /// <inheritdoc />
    public void Dispose() => _stream?.Dispose();
}
