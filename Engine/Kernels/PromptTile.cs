using System.Runtime.CompilerServices;

namespace Tessera.Engine.Kernels;

/// <summary>Sizes of a tile that do not depend on the vectors' width.</summary>
internal static class PromptTile
{
    /// <summary>Queries of a tile.</summary>
    public const int Queries = 8;
}

/// <summary>The two products of a tile of 8 queries: all at once, or four and four where there are registers for no more.</summary>
internal static unsafe class PromptTile<TWidth, TVector>
    where TWidth : struct, IVectorWidth<TVector>
    where TVector : struct
{
    private const int Queries = PromptTile.Queries;

    /// <summary>Products of queries and two vectors of keys.</summary>
    /// <param name="queries">[element, 8].</param>
    /// <param name="keys">[2, element, key].</param>
    /// <param name="size">Elements of a head.</param>
    /// <param name="scores">[8, stride].</param>
    /// <param name="stride">Numbers from one query's scores to the next one's.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Score(float* queries, float* keys, int size, float* scores, nint stride)
    {
        ScorePart(queries, keys, size, scores, stride);
        if (!TWidth.HoldsSixteenSums)
            ScorePart(queries + 4, keys, size, scores + (4 * stride), stride);
    }

    /// <summary>The values by the weights, times the queries' shares.</summary>
    /// <param name="weights">[8, stride].</param>
    /// <param name="stride">Numbers from one query's weights to the next one's.</param>
    /// <param name="values">[position, size].</param>
    /// <param name="size">Elements of a head.</param>
    /// <param name="count">Positions.</param>
    /// <param name="shares">[8].</param>
    /// <param name="mixed">[8, size].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Mix(float* weights, nint stride, float* values, int size, int count, float* shares, float* mixed)
    {
        for (var i = 0; i < size; i += 2 * TWidth.Count)
        {
            // Where only one vector is left it is computed twice.
            var second = i + TWidth.Count < size ? TWidth.Count : 0;
            MixPart(weights, stride, values + i, size, count, shares, mixed + i, second);
            if (!TWidth.HoldsSixteenSums)
                MixPart(weights + (4 * stride), stride, values + i, size, count, shares + 4, mixed + (4 * size) + i, second);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScorePart(float* queries, float* keys, int size, float* scores, nint stride)
    {
        var zero = TWidth.Create(0);
        var (a0, a1, a2, a3, a4, a5, a6, a7) = (zero, zero, zero, zero, zero, zero, zero, zero);
        var (b0, b1, b2, b3, b4, b5, b6, b7) = (zero, zero, zero, zero, zero, zero, zero, zero);
        var second = keys + ((nint)size * TWidth.Count);
        for (var i = 0; i < size; i++)
        {
            var (k, l) = (TWidth.Load(keys), TWidth.Load(second));
            a0 = TWidth.MultiplyAdd(TWidth.Create(queries[0]), k, a0);
            b0 = TWidth.MultiplyAdd(TWidth.Create(queries[0]), l, b0);
            a1 = TWidth.MultiplyAdd(TWidth.Create(queries[1]), k, a1);
            b1 = TWidth.MultiplyAdd(TWidth.Create(queries[1]), l, b1);
            a2 = TWidth.MultiplyAdd(TWidth.Create(queries[2]), k, a2);
            b2 = TWidth.MultiplyAdd(TWidth.Create(queries[2]), l, b2);
            a3 = TWidth.MultiplyAdd(TWidth.Create(queries[3]), k, a3);
            b3 = TWidth.MultiplyAdd(TWidth.Create(queries[3]), l, b3);
            if (TWidth.HoldsSixteenSums)
            {
                a4 = TWidth.MultiplyAdd(TWidth.Create(queries[4]), k, a4);
                b4 = TWidth.MultiplyAdd(TWidth.Create(queries[4]), l, b4);
                a5 = TWidth.MultiplyAdd(TWidth.Create(queries[5]), k, a5);
                b5 = TWidth.MultiplyAdd(TWidth.Create(queries[5]), l, b5);
                a6 = TWidth.MultiplyAdd(TWidth.Create(queries[6]), k, a6);
                b6 = TWidth.MultiplyAdd(TWidth.Create(queries[6]), l, b6);
                a7 = TWidth.MultiplyAdd(TWidth.Create(queries[7]), k, a7);
                b7 = TWidth.MultiplyAdd(TWidth.Create(queries[7]), l, b7);
            }

            queries += Queries;
            keys += TWidth.Count;
            second += TWidth.Count;
        }

        Store(scores, a0, b0, TWidth.Count);
        Store(scores + stride, a1, b1, TWidth.Count);
        Store(scores + (2 * stride), a2, b2, TWidth.Count);
        Store(scores + (3 * stride), a3, b3, TWidth.Count);
        if (TWidth.HoldsSixteenSums)
        {
            Store(scores + (4 * stride), a4, b4, TWidth.Count);
            Store(scores + (5 * stride), a5, b5, TWidth.Count);
            Store(scores + (6 * stride), a6, b6, TWidth.Count);
            Store(scores + (7 * stride), a7, b7, TWidth.Count);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MixPart(float* weights, nint stride, float* values, int size, int count, float* shares, float* mixed, int second)
    {
        var zero = TWidth.Create(0);
        var (a0, a1, a2, a3, a4, a5, a6, a7) = (zero, zero, zero, zero, zero, zero, zero, zero);
        var (b0, b1, b2, b3, b4, b5, b6, b7) = (zero, zero, zero, zero, zero, zero, zero, zero);
        var fourth = weights + (4 * stride);
        for (var j = 0; j < count; j++)
        {
            var (v, w) = (TWidth.Load(values), TWidth.Load(values + second));
            a0 = TWidth.MultiplyAdd(TWidth.Create(weights[0]), v, a0);
            b0 = TWidth.MultiplyAdd(TWidth.Create(weights[0]), w, b0);
            a1 = TWidth.MultiplyAdd(TWidth.Create(weights[stride]), v, a1);
            b1 = TWidth.MultiplyAdd(TWidth.Create(weights[stride]), w, b1);
            a2 = TWidth.MultiplyAdd(TWidth.Create(weights[2 * stride]), v, a2);
            b2 = TWidth.MultiplyAdd(TWidth.Create(weights[2 * stride]), w, b2);
            a3 = TWidth.MultiplyAdd(TWidth.Create(weights[3 * stride]), v, a3);
            b3 = TWidth.MultiplyAdd(TWidth.Create(weights[3 * stride]), w, b3);
            if (TWidth.HoldsSixteenSums)
            {
                a4 = TWidth.MultiplyAdd(TWidth.Create(fourth[0]), v, a4);
                b4 = TWidth.MultiplyAdd(TWidth.Create(fourth[0]), w, b4);
                a5 = TWidth.MultiplyAdd(TWidth.Create(fourth[stride]), v, a5);
                b5 = TWidth.MultiplyAdd(TWidth.Create(fourth[stride]), w, b5);
                a6 = TWidth.MultiplyAdd(TWidth.Create(fourth[2 * stride]), v, a6);
                b6 = TWidth.MultiplyAdd(TWidth.Create(fourth[2 * stride]), w, b6);
                a7 = TWidth.MultiplyAdd(TWidth.Create(fourth[3 * stride]), v, a7);
                b7 = TWidth.MultiplyAdd(TWidth.Create(fourth[3 * stride]), w, b7);
                fourth++;
            }

            weights++;
            values += size;
        }

        Store(mixed, TWidth.Multiply(a0, TWidth.Create(shares[0])), TWidth.Multiply(b0, TWidth.Create(shares[0])), second);
        Store(mixed + size, TWidth.Multiply(a1, TWidth.Create(shares[1])), TWidth.Multiply(b1, TWidth.Create(shares[1])), second);
        Store(mixed + (2 * size), TWidth.Multiply(a2, TWidth.Create(shares[2])), TWidth.Multiply(b2, TWidth.Create(shares[2])), second);
        Store(mixed + (3 * size), TWidth.Multiply(a3, TWidth.Create(shares[3])), TWidth.Multiply(b3, TWidth.Create(shares[3])), second);
        if (TWidth.HoldsSixteenSums)
        {
            Store(mixed + (4 * size), TWidth.Multiply(a4, TWidth.Create(shares[4])), TWidth.Multiply(b4, TWidth.Create(shares[4])), second);
            Store(mixed + (5 * size), TWidth.Multiply(a5, TWidth.Create(shares[5])), TWidth.Multiply(b5, TWidth.Create(shares[5])), second);
            Store(mixed + (6 * size), TWidth.Multiply(a6, TWidth.Create(shares[6])), TWidth.Multiply(b6, TWidth.Create(shares[6])), second);
            Store(mixed + (7 * size), TWidth.Multiply(a7, TWidth.Create(shares[7])), TWidth.Multiply(b7, TWidth.Create(shares[7])), second);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* target, TVector low, TVector high, int second)
    {
        TWidth.Store(low, target);
        TWidth.Store(high, target + second);
    }
}
