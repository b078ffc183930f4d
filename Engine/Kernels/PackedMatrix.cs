using System.Runtime.InteropServices;

namespace Tessera.Engine.Kernels;

/// <summary>Weights of a product in the order in which <see cref="MatrixProduct"/> reads them. Plain memory, so that the runtime's threads can share it.</summary>
internal unsafe struct PackedMatrix
{
    private const nuint Alignment = 64;

    /// <summary>[panel, depth, <see cref="MatrixProduct.Columns"/>]; zeros beyond the last column.</summary>
    public float* Weights;

    /// <summary>Numbers of a row on the left, and of a column here.</summary>
    public int Depth;

    /// <summary>Numbers of a row of the product.</summary>
    public int Columns;

    /// <summary>Columns that are computed together, rounded up.</summary>
    public readonly int PanelCount => (Columns + MatrixProduct.Columns - 1) / MatrixProduct.Columns;

    /// <summary>Copies weights.</summary>
    /// <param name="weights">[columns, depth] when transposed, else [depth, columns].</param>
    /// <param name="depth">Numbers of a column.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="isTransposed">How they lie.</param>
    public static PackedMatrix Pack(float* weights, int depth, int columns, bool isTransposed)
    {
        var matrix = new PackedMatrix { Depth = depth, Columns = columns };
        var count = checked((nuint)matrix.PanelCount * (nuint)depth * MatrixProduct.Columns);
        matrix.Weights = (float*)NativeMemory.AlignedAlloc(checked(count * sizeof(float)), Alignment);
        var (byDepth, byColumn) = isTransposed ? ((nint)1, (nint)depth) : ((nint)columns, (nint)1);
        var target = matrix.Weights;
        for (var panel = 0; panel < matrix.PanelCount; panel++)
        {
            var source = weights + (panel * MatrixProduct.Columns * byColumn);
            var width = Math.Min(MatrixProduct.Columns, columns - (panel * MatrixProduct.Columns));
            for (var k = 0; k < depth; k++, target += MatrixProduct.Columns)
            {
                for (var j = 0; j < MatrixProduct.Columns; j++)
                    target[j] = j < width ? source[(k * byDepth) + (j * byColumn)] : 0;
            }
        }

        return matrix;
    }

    /// <summary>Whether others are the same weights.</summary>
    public readonly bool IsEqualTo(in PackedMatrix other)
    {
        if (Depth != other.Depth || Columns != other.Columns)
            return false;

        // As bits: what is not a number equals itself, too.
        var size = Depth * MatrixProduct.Columns * sizeof(float);
        for (var panel = 0; panel < PanelCount; panel++)
        {
            var offset = (nint)panel * size;
            if (!new ReadOnlySpan<byte>((byte*)Weights + offset, size).SequenceEqual(new ReadOnlySpan<byte>((byte*)other.Weights + offset, size)))
                return false;
        }

        return true;
    }

    /// <summary>Gives the memory back.</summary>
    public void Free()
    {
        NativeMemory.AlignedFree(Weights);
        Weights = null;
    }
}
