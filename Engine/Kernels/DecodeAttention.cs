using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Engine.Kernels;

/// <summary>Attention of one new position per row. What a row gets depends on that row alone.</summary>
[SkipLocalsInit]
internal static unsafe class DecodeAttention
{
    private const int KeysAtOnce = 8;
    private const int ElementsAtOnce = 2 * VectorMath.Width;

    /// <summary>A row's key-value head: appends the new position and attends with every query head that reads it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<T>(in AttentionJob job, int row, int kvHead)
        where T : struct, ICacheElement
    {
        var position = job.LastPositions[row];
        var end = position + 1;
        var first = job.FirstSeen(position);
        job.Append<T>(row, 0, kvHead, position);
        var cache = job.CacheIndex(row, kvHead) * T.ByteCount;
        var keys = (byte*)job.KeyCache + cache;
        var values = (byte*)job.ValueCache + cache;
        var scores = AttentionScratch.Scores(VectorMath.RoundUp(end));
        var query = stackalloc float[AttentionJob.MaxHeadSize];
        var group = job.Heads / job.KvHeads;
        for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
        {
            job.ReadQuery(row, 0, head, position, query);
            Scale(query, job.KeyScales, kvHead, job.HeadSize);
            Score<T>(query, keys, job.HeadSize, first & -VectorMath.Width, end, scores);
            var share = VectorMath.Softmax(scores, first, end);
            var output = job.Output + ((((nint)row * job.Heads) + head) * job.HeadSize);
            Mix<T>(scores, values, job.HeadSize, first & -VectorMath.Width, end, share, output);
            Scale(output, job.ValueScales, kvHead, job.HeadSize);
        }
    }

    /// <summary>Products of a query with the keys [first, end).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Score<T>(float* query, void* keys, int size, int first, int end, float* scores)
        where T : struct, ICacheElement
    {
        var last = end - 1;
        for (var j = first; j < end; j += KeysAtOnce)
        {
            // Past the end the last key stands in: its products are not looked at.
            var (k0, k1, k2, k3) = ((nint)j * size, (nint)Math.Min(j + 1, last) * size, (nint)Math.Min(j + 2, last) * size, (nint)Math.Min(j + 3, last) * size);
            var (k4, k5, k6, k7) = (
                (nint)Math.Min(j + 4, last) * size, (nint)Math.Min(j + 5, last) * size, (nint)Math.Min(j + 6, last) * size, (nint)Math.Min(j + 7, last) * size);
            var (a, b, c, d) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            var (e, f, g, h) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            for (nint i = 0; i < size; i += VectorMath.Width)
            {
                var q = Vector512.Load(query + i);
                a = Vector512.FusedMultiplyAdd(T.Load(keys, k0 + i), q, a);
                b = Vector512.FusedMultiplyAdd(T.Load(keys, k1 + i), q, b);
                c = Vector512.FusedMultiplyAdd(T.Load(keys, k2 + i), q, c);
                d = Vector512.FusedMultiplyAdd(T.Load(keys, k3 + i), q, d);
                e = Vector512.FusedMultiplyAdd(T.Load(keys, k4 + i), q, e);
                f = Vector512.FusedMultiplyAdd(T.Load(keys, k5 + i), q, f);
                g = Vector512.FusedMultiplyAdd(T.Load(keys, k6 + i), q, g);
                h = Vector512.FusedMultiplyAdd(T.Load(keys, k7 + i), q, h);
            }

            VectorMath.Sums(a, b, c, d, e, f, g, h).Store(scores + j);
        }
    }

    /// <summary>The values [first, end) by their weights, times <paramref name="share"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix<T>(float* weights, void* values, int size, int first, int end, float share, float* output)
        where T : struct, ICacheElement
    {
        var last = end - 1;
        var shares = Vector512.Create(share);
        for (nint i = 0; i < size; i += ElementsAtOnce)
        {
            // Where only one vector is left it is computed twice.
            var second = i + VectorMath.Width < size ? VectorMath.Width : 0;
            var (a0, a1, a2, a3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            var (b0, b1, b2, b3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
            for (var j = first; j < end; j += 4)
            {
                // Weights past the end are zero.
                var v0 = ((nint)j * size) + i;
                var v1 = ((nint)Math.Min(j + 1, last) * size) + i;
                var v2 = ((nint)Math.Min(j + 2, last) * size) + i;
                var v3 = ((nint)Math.Min(j + 3, last) * size) + i;
                var (w0, w1, w2, w3) = (Vector512.Create(weights[j]), Vector512.Create(weights[j + 1]), Vector512.Create(weights[j + 2]), Vector512.Create(weights[j + 3]));
                a0 = Vector512.FusedMultiplyAdd(w0, T.Load(values, v0), a0);
                b0 = Vector512.FusedMultiplyAdd(w0, T.Load(values, v0 + second), b0);
                a1 = Vector512.FusedMultiplyAdd(w1, T.Load(values, v1), a1);
                b1 = Vector512.FusedMultiplyAdd(w1, T.Load(values, v1 + second), b1);
                a2 = Vector512.FusedMultiplyAdd(w2, T.Load(values, v2), a2);
                b2 = Vector512.FusedMultiplyAdd(w2, T.Load(values, v2 + second), b2);
                a3 = Vector512.FusedMultiplyAdd(w3, T.Load(values, v3), a3);
                b3 = Vector512.FusedMultiplyAdd(w3, T.Load(values, v3 + second), b3);
            }

            ((a0 + a1 + (a2 + a3)) * shares).Store(output + i);
            ((b0 + b1 + (b2 + b3)) * shares).Store(output + i + second);
        }
    }

    private static void Scale(float* values, float* scales, int kvHead, int size)
    {
        if (scales == null)
            return;
        for (var i = 0; i < size; i += VectorMath.Width)
            (Vector512.Load(values + i) * Vector512.Load(scales + (kvHead * size) + i)).Store(values + i);
    }
}
