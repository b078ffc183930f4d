using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Engine.Kernels;

/// <summary>
/// Rows by packed weights. A number of the product is one sum over the depth from its first element on, whatever else the call computes: a row gets the same bits
/// alone, in any batch and in any chunk.
/// </summary>
[SkipLocalsInit]
internal static unsafe class MatrixProduct
{
    /// <summary>Columns of a panel: two vectors.</summary>
    public const int Columns = 2 * Width;

    /// <summary>Rows that are computed together; with a panel's columns they fill 16 of the 32 registers with sums.</summary>
    public const int Rows = 8;

    /// <summary>Panels of one row that are computed together: one alone would wait for each addition.</summary>
    public const int PanelsOfOneRow = 4;

    private const int Width = 16;

    /// <summary>Rows by one panel.</summary>
    /// <param name="left">[row, depth].</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="matrix">The weights.</param>
    /// <param name="panel">Which panel.</param>
    /// <param name="product">[row, columns of the matrix].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(float* left, int rows, in PackedMatrix matrix, int panel, float* product)
    {
        var weights = matrix.Weights + ((nint)panel * matrix.Depth * Columns);
        var width = Math.Min(Columns, matrix.Columns - (panel * Columns));
        var target = product + (panel * Columns);
        var edge = stackalloc float[Rows * Columns];
        for (var row = 0; row < rows; row += Rows)
        {
            var count = Math.Min(Rows, rows - row);
            var source = left + ((nint)row * matrix.Depth);
            if (width == Columns && count == Rows)
            {
                RunTile(source, matrix.Depth, Rows, weights, target, matrix.Columns);
            }
            else
            {
                RunTile(source, matrix.Depth, count, weights, edge, Columns);
                for (var i = 0; i < count; i++)
                    new ReadOnlySpan<float>(edge + (i * Columns), width).CopyTo(new Span<float>(target + ((nint)i * matrix.Columns), width));
            }

            target += (nint)Rows * matrix.Columns;
        }
    }

    /// <summary>One row by some panels, at most <see cref="PanelsOfOneRow"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void RunRow(float* left, in PackedMatrix matrix, int panel, int panelCount, float* product)
    {
        var step = (nint)matrix.Depth * Columns;
        var w0 = matrix.Weights + (panel * step);

        // Past the last one it stands in: its products are not looked at.
        var w1 = w0 + (Math.Min(1, panelCount - 1) * step);
        var w2 = w0 + (Math.Min(2, panelCount - 1) * step);
        var w3 = w0 + (Math.Min(3, panelCount - 1) * step);
        var zero = Vector512<float>.Zero;
        var (a0, a1, b0, b1, c0, c1, d0, d1) = (zero, zero, zero, zero, zero, zero, zero, zero);
        for (nint k = 0; k < matrix.Depth; k++)
        {
            var x = Vector512.Create(left[k]);
            var at = k * Columns;
            a0 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w0 + at), a0);
            a1 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w0 + at + Width), a1);
            b0 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w1 + at), b0);
            b1 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w1 + at + Width), b1);
            c0 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w2 + at), c0);
            c1 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w2 + at + Width), c1);
            d0 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w3 + at), d0);
            d1 = Vector512.FusedMultiplyAdd(x, Vector512.Load(w3 + at + Width), d1);
        }

        var sums = stackalloc float[PanelsOfOneRow * Columns];
        Store(sums, a0, a1);
        Store(sums + Columns, b0, b1);
        Store(sums + (2 * Columns), c0, c1);
        Store(sums + (3 * Columns), d0, d1);
        var width = Math.Min(panelCount * Columns, matrix.Columns - (panel * Columns));
        new ReadOnlySpan<float>(sums, width).CopyTo(new Span<float>(product + (panel * Columns), width));
    }

    // Past the last row it stands in, and is not stored.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RunTile(float* left, int depth, int rows, float* weights, float* target, nint stride)
    {
        var last = (nint)(rows - 1) * depth;
        var x1 = left + Math.Min(depth, last);
        var x2 = left + Math.Min((nint)depth * 2, last);
        var x3 = left + Math.Min((nint)depth * 3, last);
        var x4 = left + Math.Min((nint)depth * 4, last);
        var x5 = left + Math.Min((nint)depth * 5, last);
        var x6 = left + Math.Min((nint)depth * 6, last);
        var x7 = left + Math.Min((nint)depth * 7, last);
        var zero = Vector512<float>.Zero;
        var (a0, a1, a2, a3, a4, a5, a6, a7) = (zero, zero, zero, zero, zero, zero, zero, zero);
        var (b0, b1, b2, b3, b4, b5, b6, b7) = (zero, zero, zero, zero, zero, zero, zero, zero);
        for (nint k = 0; k < depth; k++)
        {
            var (v, w) = (Vector512.Load(weights), Vector512.Load(weights + Width));
            a0 = Vector512.FusedMultiplyAdd(Vector512.Create(left[k]), v, a0);
            b0 = Vector512.FusedMultiplyAdd(Vector512.Create(left[k]), w, b0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Create(x1[k]), v, a1);
            b1 = Vector512.FusedMultiplyAdd(Vector512.Create(x1[k]), w, b1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Create(x2[k]), v, a2);
            b2 = Vector512.FusedMultiplyAdd(Vector512.Create(x2[k]), w, b2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Create(x3[k]), v, a3);
            b3 = Vector512.FusedMultiplyAdd(Vector512.Create(x3[k]), w, b3);
            a4 = Vector512.FusedMultiplyAdd(Vector512.Create(x4[k]), v, a4);
            b4 = Vector512.FusedMultiplyAdd(Vector512.Create(x4[k]), w, b4);
            a5 = Vector512.FusedMultiplyAdd(Vector512.Create(x5[k]), v, a5);
            b5 = Vector512.FusedMultiplyAdd(Vector512.Create(x5[k]), w, b5);
            a6 = Vector512.FusedMultiplyAdd(Vector512.Create(x6[k]), v, a6);
            b6 = Vector512.FusedMultiplyAdd(Vector512.Create(x6[k]), w, b6);
            a7 = Vector512.FusedMultiplyAdd(Vector512.Create(x7[k]), v, a7);
            b7 = Vector512.FusedMultiplyAdd(Vector512.Create(x7[k]), w, b7);
            weights += Columns;
        }

        Store(target, a0, b0);
        if (rows > 1)
            Store(target + stride, a1, b1);
        if (rows > 2)
            Store(target + (2 * stride), a2, b2);
        if (rows > 3)
            Store(target + (3 * stride), a3, b3);
        if (rows > 4)
            Store(target + (4 * stride), a4, b4);
        if (rows > 5)
            Store(target + (5 * stride), a5, b5);
        if (rows > 6)
            Store(target + (6 * stride), a6, b6);
        if (rows > 7)
            Store(target + (7 * stride), a7, b7);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* target, Vector512<float> low, Vector512<float> high)
    {
        low.Store(target);
        high.Store(target + Width);
    }
}
