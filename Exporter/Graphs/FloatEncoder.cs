using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Tessera.Exporter.Onnx;

namespace Tessera.Exporter.Graphs;

/// <summary>Writes numbers to a stream in one of the floating-point types.</summary>
/// <param name="sourceOf">File and tensor that an element comes from, for errors.</param>
/// <param name="type">Float, Float16 or BFloat16.</param>
/// <param name="stream">Gets the bytes.</param>
internal sealed class FloatEncoder(Func<long, (string File, string Tensor)> sourceOf, OnnxElementType type, Stream stream)
{
    private long _written;
    private ushort[] _halves = [];

    /// <summary>An encoder of one tensor.</summary>
    public FloatEncoder(string file, string tensor, OnnxElementType type, Stream stream)
        : this(_ => (file, tensor), type, stream)
    {
    }

    /// <summary>Writes numbers; rounds to the nearest, ties to even.</summary>
    /// <exception cref="ExportException">A number is too large for the type.</exception>
    public void Write(ReadOnlySpan<float> values)
    {
        if (type == OnnxElementType.Float)
        {
            stream.Write(MemoryMarshal.AsBytes(values));
            return;
        }

        if (_halves.Length < values.Length)
        {
            _halves = new ushort[values.Length];
        }

        var halves = _halves.AsSpan(0, values.Length);
        if (type == OnnxElementType.Float16)
        {
            ToHalf(values, halves);
        }
        else
        {
            for (var i = 0; i < halves.Length; i++)
            {
                halves[i] = ToBFloat16(values[i]);
            }
        }

        stream.Write(MemoryMarshal.AsBytes(halves));
        _written += values.Length;
    }

    private void ToHalf(ReadOnlySpan<float> values, Span<ushort> halves)
    {
        var target = MemoryMarshal.Cast<ushort, Half>(halves);
        TensorPrimitives.ConvertToHalf(values, target);
        for (var i = 0; i < target.Length; i++)
        {
            if (!Half.IsFinite(target[i]))
            {
                var (file, tensor) = sourceOf(_written + i);
                throw new ExportException(file, tensor, $"numbers up to {Half.MaxValue} for fp16", $"{values[i]}");
            }
        }
    }

    private static ushort ToBFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }
}
