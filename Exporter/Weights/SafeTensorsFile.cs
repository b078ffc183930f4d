using System.Buffers.Binary;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tessera.Exporter.Weights;

/// <summary>Reader of a .safetensors file: the header is checked at once, tensors are read from the file when they are asked for.</summary>
internal sealed class SafeTensorsFile : IDisposable
{
    private const int ChunkElements = 1 << 16;

    private readonly SafeFileHandle _handle;
    private readonly HashSet<string> _used = new(StringComparer.Ordinal);

    private SafeTensorsFile(string path, SafeFileHandle handle, Dictionary<string, SafeTensor> tensors)
    {
        FullPath = Path.GetFullPath(path);
        Name = Path.GetFileName(path);
        _handle = handle;
        Tensors = tensors;
    }

    /// <summary>File name for errors.</summary>
    public string Name { get; }

    /// <summary>Where the file is.</summary>
    public string FullPath { get; }

    /// <summary>What the file holds.</summary>
    public IReadOnlyDictionary<string, SafeTensor> Tensors { get; }

    /// <summary>Names of tensors that nobody asked for yet, in order.</summary>
    public IEnumerable<string> UnusedTensors => Tensors.Keys.Where(name => !_used.Contains(name)).Order(StringComparer.Ordinal);

    /// <summary>Opens a file and checks its header.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ExportException">The file is missing, truncated or its header lies.</exception>
    public static SafeTensorsFile Open(string path)
    {
        var name = Path.GetFileName(path);
        if (!File.Exists(path))
        {
            throw new ExportException(name, "file", "a safetensors file", $"nothing in {Path.GetDirectoryName(path)}");
        }

        var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        try
        {
            return new SafeTensorsFile(path, handle, ReadHeader(name, handle));
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>The tensor of that name; its shape must be <paramref name="shape"/>.</summary>
    /// <exception cref="ExportException">Missing, or of another shape.</exception>
    public SafeTensor Require(string tensorName, params ReadOnlySpan<long> shape)
    {
        var tensor = RequireAnyShape(tensorName);
        if (!tensor.Shape.SequenceEqual(shape.ToArray()))
        {
            throw new ExportException(Name, tensorName, $"shape {SafeTensor.Format(shape.ToArray())}", SafeTensor.Format(tensor.Shape));
        }

        return tensor;
    }

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="ExportException">Missing.</exception>
    public SafeTensor RequireAnyShape(string tensorName)
    {
        _used.Add(tensorName);
        return Tensors.TryGetValue(tensorName, out var tensor) ? tensor : throw new ExportException(Name, tensorName, "a tensor of that name", "none");
    }

    /// <summary>Elements of a floating-point tensor in single precision, in row-major order.</summary>
    /// <exception cref="ExportException">Not floating point, too large for one array, or an element is not finite.</exception>
    public float[] ReadFloats(SafeTensor tensor)
    {
        RequireFloats(tensor);
        var values = new float[ArrayLength(tensor)];
        ReadFloats(tensor, 0, values);
        return values;
    }

    /// <summary>A part of a floating-point tensor in single precision.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="first">Its first element that is wanted.</param>
    /// <param name="values">Gets the elements from there on.</param>
    /// <exception cref="ExportException">Not floating point, or an element is not finite.</exception>
    public void ReadFloats(SafeTensor tensor, long first, Span<float> values)
    {
        RequireFloats(tensor);
        if (tensor.Type == TensorElementType.F32)
        {
            ReadExactly(tensor, MemoryMarshal.AsBytes(values), tensor.Offset + (first * sizeof(float)));
        }
        else
        {
            Convert(tensor, first, values);
        }

        for (var i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
            {
                throw new ExportException(Name, tensor.Name, "finite numbers", $"{values[i]} at element {first + i}");
            }
        }
    }

    /// <summary>A part of a tensor as its bytes are.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="first">First byte of the tensor that is wanted.</param>
    /// <param name="bytes">Gets the bytes from there on.</param>
    public void ReadBytes(SafeTensor tensor, long first, Span<byte> bytes) => ReadExactly(tensor, bytes, tensor.Offset + first);

    /// <summary>Elements of an integer tensor (I64 or I32), in row-major order.</summary>
    /// <exception cref="ExportException">Of another type, or too large for one array.</exception>
    public long[] ReadIntegers(SafeTensor tensor)
    {
        if (tensor.Type is not (TensorElementType.I64 or TensorElementType.I32))
        {
            throw new ExportException(Name, tensor.Name, "I64 or I32 elements", tensor.Type.ToString());
        }

        var values = new long[ArrayLength(tensor)];
        if (tensor.Type == TensorElementType.I64)
        {
            ReadExactly(tensor, MemoryMarshal.AsBytes(values.AsSpan()), tensor.Offset);
        }
        else
        {
            var narrow = new int[values.Length];
            ReadExactly(tensor, MemoryMarshal.AsBytes(narrow.AsSpan()), tensor.Offset);
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = narrow[i];
            }
        }

        return values;
    }

    /// <inheritdoc />
    public void Dispose() => _handle.Dispose();

    private static Dictionary<string, SafeTensor> ReadHeader(string name, SafeFileHandle handle)
    {
        const int PrefixBytes = sizeof(ulong);
        var fileBytes = RandomAccess.GetLength(handle);
        if (fileBytes < PrefixBytes)
        {
            throw new ExportException(name, "length", $"at least {PrefixBytes} bytes", $"{fileBytes}");
        }

        Span<byte> prefix = stackalloc byte[PrefixBytes];
        FillFrom(name, "header length", handle, prefix, 0);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        var most = Math.Min(SafeTensorsHeader.MaxBytes, fileBytes - PrefixBytes);
        if (headerBytes > (ulong)most)
        {
            throw new ExportException(name, "header length", $"at most {most} bytes (the file has {fileBytes})", $"{headerBytes}");
        }

        var header = new byte[(int)headerBytes];
        var dataStart = PrefixBytes + header.Length;
        FillFrom(name, "header", handle, header, PrefixBytes);
        return SafeTensorsHeader.Parse(name, header, dataStart, fileBytes - dataStart);
    }

    private static void FillFrom(string name, string field, SafeFileHandle handle, Span<byte> bytes, long offset)
    {
        var filled = 0;
        while (filled < bytes.Length)
        {
            var count = RandomAccess.Read(handle, bytes[filled..], offset + filled);
            if (count == 0)
            {
                throw new ExportException(name, field, $"{bytes.Length} bytes at {offset}", $"the end of the file after {filled}");
            }

            filled += count;
        }
    }

    private void ReadExactly(SafeTensor tensor, Span<byte> bytes, long offset) => FillFrom(Name, tensor.Name, _handle, bytes, offset);

    private int ArrayLength(SafeTensor tensor) =>
        tensor.ElementCount <= Array.MaxLength
            ? (int)tensor.ElementCount
            : throw new ExportException(Name, tensor.Name, $"at most {Array.MaxLength} elements", $"{tensor.ElementCount}");

    private void RequireFloats(SafeTensor tensor)
    {
        if (!tensor.Type.IsFloat())
        {
            throw new ExportException(Name, tensor.Name, "floating-point elements", tensor.Type.ToString());
        }
    }

    private void Convert(SafeTensor tensor, long first, Span<float> values)
    {
        var size = tensor.Type.ByteSize();
        var buffer = new byte[Math.Min(values.Length, ChunkElements) * size];
        for (var start = 0; start < values.Length; start += ChunkElements)
        {
            var chunk = values[start..Math.Min(values.Length, start + ChunkElements)];
            var bytes = buffer.AsSpan(0, chunk.Length * size);
            ReadExactly(tensor, bytes, tensor.Offset + ((first + start) * size));
            switch (tensor.Type)
            {
                case TensorElementType.F16:
                    TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(bytes), chunk);
                    break;
                case TensorElementType.BF16:
                    Widen(MemoryMarshal.Cast<byte, ushort>(bytes), chunk);
                    break;
                default:
                    TensorPrimitives.ConvertTruncating<double, float>(MemoryMarshal.Cast<byte, double>(bytes), chunk);
                    break;
            }
        }
    }

    /// <summary>bfloat16 is the upper half of a single-precision number.</summary>
    private static void Widen(ReadOnlySpan<ushort> halves, Span<float> values)
    {
        for (var i = 0; i < halves.Length; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)halves[i] << 16);
        }
    }
}
