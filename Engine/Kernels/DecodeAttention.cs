using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Engine.Kernels;

/// <summary>Attention of one new position per row. What a row gets depends on that row alone.</summary>
[SkipLocalsInit]
internal static unsafe class DecodeAttention<TWidth, TVector>
    where TWidth : struct, IVectorWidth<TVector>
    where TVector : struct
{
    private const int KeysAtOnce = 8;
    private const int ValuesAtOnce = 4;
    private const int CacheLine = 64;

    /// <summary>A row's key-value head: appends the new position and attends with every query head that reads it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<TElement>(in AttentionJob job, int row, int kvHead)
        where TElement : struct, ICacheElement
    {
        var position = job.LastPositions[row];
        var end = position + 1;
        var first = job.FirstSeen(position);
        var begin = VectorMath<TWidth, TVector>.RoundDown(first);
        job.Append<TWidth, TVector, TElement>(row, 0, kvHead, position);
        var cache = job.CacheIndex(row, kvHead) * TElement.ByteCount;
        var keys = (byte*)job.KeyCache + cache;
        var values = (byte*)job.ValueCache + cache;
        var scores = AttentionScratch.Scores(VectorMath<TWidth, TVector>.RoundUp(end));
        var query = stackalloc float[AttentionJob.MaxHeadSize];
        var group = job.Heads / job.KvHeads;

        // Cached heads follow one another, those of the next row included; another row may have fewer positions, or there may be none: nothing is read.
        var next = keys + ((nint)job.Capacity * job.HeadSize * TElement.ByteCount);
        for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
        {
            job.ReadQuery<TWidth, TVector>(row, 0, head, position, query);
            VectorMath<TWidth, TVector>.Scale(query, job.KeyScalesOf(kvHead), job.HeadSize);
            Score<TElement>(query, keys, job.HeadSize, begin, end, scores, values);
            var share = VectorMath<TWidth, TVector>.Softmax(scores, first, end);
            var output = job.Output + ((((nint)row * job.Heads) + head) * job.HeadSize);
            Mix<TElement>(scores, values, job.HeadSize, begin, end, share, output, next);
            VectorMath<TWidth, TVector>.Scale(output, job.ValueScalesOf(kvHead), job.HeadSize);
        }
    }

    /// <summary>Products of a query with the keys [first, end); brings in what is at the same places of <paramref name="ahead"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Score<TElement>(float* query, void* keys, int size, int first, int end, float* scores, byte* ahead)
        where TElement : struct, ICacheElement
    {
        var zero = TWidth.Create(0);
        var last = end - 1;
        var (k1, k2, k3, k4) = ((nint)size, (nint)size * 2, (nint)size * 3, (nint)size * 4);
        var (k5, k6, k7) = (k4 + k1, k4 + k2, k4 + k3);
        for (var j = first; j < end; j += KeysAtOnce)
        {
            if (j + KeysAtOnce > end)
            {
                // Past the end the last key stands in: its products are not looked at.
                var rest = (nint)(last - j) * size;
                (k1, k2, k3, k4) = (Math.Min(k1, rest), Math.Min(k2, rest), Math.Min(k3, rest), Math.Min(k4, rest));
                (k5, k6, k7) = (Math.Min(k5, rest), Math.Min(k6, rest), rest);
            }

            Bring(ahead + ((nint)j * size * TElement.ByteCount), size * KeysAtOnce * TElement.ByteCount);
            var (a, b, c, d, e, f, g, h) = (zero, zero, zero, zero, zero, zero, zero, zero);
            var key = (nint)j * size;
            for (nint i = 0; i < size; i += TWidth.Count)
            {
                var q = TWidth.Load(query + i);
                a = TWidth.MultiplyAdd(Load<TElement>(keys, key), q, a);
                b = TWidth.MultiplyAdd(Load<TElement>(keys, key + k1), q, b);
                c = TWidth.MultiplyAdd(Load<TElement>(keys, key + k2), q, c);
                d = TWidth.MultiplyAdd(Load<TElement>(keys, key + k3), q, d);
                e = TWidth.MultiplyAdd(Load<TElement>(keys, key + k4), q, e);
                f = TWidth.MultiplyAdd(Load<TElement>(keys, key + k5), q, f);
                g = TWidth.MultiplyAdd(Load<TElement>(keys, key + k6), q, g);
                h = TWidth.MultiplyAdd(Load<TElement>(keys, key + k7), q, h);
                key += TWidth.Count;
            }

            TWidth.StoreSums(a, b, c, d, e, f, g, h, scores + j);
        }
    }

    /// <summary>The values [first, end) by their weights, times <paramref name="share"/>; brings in what is at the same places of <paramref name="ahead"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix<TElement>(float* weights, void* values, int size, int first, int end, float share, float* output, byte* ahead)
        where TElement : struct, ICacheElement
    {
        var zero = TWidth.Create(0);
        var shares = TWidth.Create(share);
        for (nint i = 0; i < size; i += 2 * TWidth.Count)
        {
            // Where only one vector is left it is computed twice.
            var second = i + TWidth.Count < size ? TWidth.Count : 0;
            var (a0, a1, a2, a3) = (zero, zero, zero, zero);
            var (b0, b1, b2, b3) = (zero, zero, zero, zero);
            var (v1, v2, v3) = ((nint)size, (nint)size * 2, (nint)size * 3);
            var value = ((nint)first * size) + i;
            for (nint j = first; j < end; j += ValuesAtOnce)
            {
                if (i == 0)
                    Bring(ahead + (j * size * TElement.ByteCount), size * ValuesAtOnce * TElement.ByteCount);
                if (j + ValuesAtOnce > end)
                {
                    // Past the end the last value stands in: weights are zero there.
                    var rest = (end - 1 - j) * size;
                    (v1, v2, v3) = (Math.Min(v1, rest), Math.Min(v2, rest), rest);
                }

                var (w0, w1, w2, w3) = (TWidth.Create(weights[j]), TWidth.Create(weights[j + 1]), TWidth.Create(weights[j + 2]), TWidth.Create(weights[j + 3]));
                a0 = TWidth.MultiplyAdd(w0, Load<TElement>(values, value), a0);
                a1 = TWidth.MultiplyAdd(w1, Load<TElement>(values, value + v1), a1);
                a2 = TWidth.MultiplyAdd(w2, Load<TElement>(values, value + v2), a2);
                a3 = TWidth.MultiplyAdd(w3, Load<TElement>(values, value + v3), a3);
                var next = value + second;
                b0 = TWidth.MultiplyAdd(w0, Load<TElement>(values, next), b0);
                b1 = TWidth.MultiplyAdd(w1, Load<TElement>(values, next + v1), b1);
                b2 = TWidth.MultiplyAdd(w2, Load<TElement>(values, next + v2), b2);
                b3 = TWidth.MultiplyAdd(w3, Load<TElement>(values, next + v3), b3);
                value += (nint)size * ValuesAtOnce;
            }

            TWidth.Store(TWidth.Multiply(Sum(a0, a1, a2, a3), shares), output + i);
            TWidth.Store(TWidth.Multiply(Sum(b0, b1, b2, b3), shares), output + i + second);
        }
    }

    // A head's keys are two or three pages of memory, too few for the processor to see where they lead.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Bring(byte* data, int length)
    {
        if (!Sse.IsSupported)
            return;
        for (var i = 0; i < length; i += CacheLine)
            Sse.Prefetch0(data + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Load<TElement>(void* cache, nint index)
        where TElement : struct, ICacheElement => TElement.Load<TWidth, TVector>(cache, index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Sum(TVector a, TVector b, TVector c, TVector d) => TWidth.Add(TWidth.Add(a, b), TWidth.Add(c, d));
}
