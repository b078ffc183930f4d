using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Engine.Kernels;

/// <summary>
/// Attention of several new positions per row. Each query adds up its keys and values one after the other from the first position on, so that what it gets
/// depends neither on the other queries of the call nor on where a prompt was cut into chunks.
/// </summary>
[SkipLocalsInit]
internal static unsafe class PromptAttention
{
    /// <summary>Queries of a tile.</summary>
    public const int Queries = 8;

    private const int ElementsAtOnce = 2 * VectorMath.Width;

    /// <summary>Keys of a tile; lengths of packed keys are multiples of it.</summary>
    public const int Keys = 2 * VectorMath.Width;

    /// <summary>Appends a row's new positions of one head to the cache and lays out all of its keys for <see cref="Run"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Prepare<T>(in AttentionJob job, int row, int kvHead)
        where T : struct, ICacheElement
    {
        var (past, count) = (job.PastOf(row), job.CountOf(row));
        for (var i = 0; i < count; i++)
            job.Append<T>(row, i, kvHead, past + i);

        var from = job.FirstSeen(past) & -Keys;
        var cache = job.CacheIndex(row, kvHead) * T.ByteCount;
        var part = ((nint)row * job.KvHeads) + kvHead;
        var size = job.HeadSize;
        var packed = job.PackedKeys + (part * job.PackedLength * size);
        Pack<T>((byte*)job.KeyCache + cache, Scales(job.KeyScales, kvHead, size), size, from, past + count, packed);
        if (job.ValueScales != null)
            Unpack<T>((byte*)job.ValueCache + cache, Scales(job.ValueScales, kvHead, size), size, from, past + count, job.PlainValues + (part * job.PackedLength * size));
    }

    /// <summary>A tile of queries of one head.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run(in AttentionJob job, int row, int head, int tile)
    {
        var (past, count, size) = (job.PastOf(row), job.CountOf(row), job.HeadSize);
        var top = tile * Queries;
        var rows = Math.Min(Queries, count - top);
        if (rows <= 0)
        {
            Clear(job, row, head, top, Math.Min(Queries, job.Positions - top));
            return;
        }

        var kvHead = head / (job.Heads / job.KvHeads);
        var part = ((nint)row * job.KvHeads) + kvHead;
        var keys = job.PackedKeys + (part * job.PackedLength * size);
        var values = job.ValueScales != null ? job.PlainValues + (part * job.PackedLength * size) : (float*)job.ValueCache + job.CacheIndex(row, kvHead);

        var first = job.FirstSeen(past + top) & -Keys;
        var end = past + top + rows;
        var width = ((end + Keys - 1) & -Keys) - first;
        var queries = stackalloc float[Queries * AttentionJob.MaxHeadSize];
        ReadQueries(job, row, head, past, top, rows, queries);
        var scores = AttentionScratch.Scores(Queries * width);
        for (var j = 0; j < width; j += Keys)
            Score(queries, keys + ((nint)(first + j) * size), size, scores + j, width);

        var shares = stackalloc float[Queries];
        for (var i = 0; i < Queries; i++)
        {
            var line = scores + ((nint)i * width);
            var position = past + top + Math.Min(i, rows - 1);
            var seen = job.FirstSeen(position) - first;
            shares[i] = VectorMath.Softmax(line, seen, position + 1 - first);
            new Span<float>(line, seen & -VectorMath.Width).Clear();
            var done = VectorMath.RoundUp(position + 1 - first);
            new Span<float>(line + done, width - done).Clear();
        }

        var mixed = stackalloc float[Queries * AttentionJob.MaxHeadSize];
        for (var i = 0; i < size; i += ElementsAtOnce)
            Mix(scores, width, values + ((nint)first * size) + i, size, end - first, shares, mixed + i, i + VectorMath.Width < size ? VectorMath.Width : 0);
        for (var i = 0; i < rows; i++)
            new ReadOnlySpan<float>(mixed + (i * size), size).CopyTo(new Span<float>(Output(job, row, head, top + i), size));
        Clear(job, row, head, top + rows, Math.Min(Queries, job.Positions - top) - rows);
    }

    private static float* Output(in AttentionJob job, int row, int head, int index) =>
        job.Output + (((((nint)row * job.Positions) + index) * job.Heads) + head) * job.HeadSize;

    /// <summary>Padding has no result, but nothing undefined may come out.</summary>
    private static void Clear(in AttentionJob job, int row, int head, int index, int count)
    {
        for (var i = 0; i < count; i++)
            new Span<float>(Output(job, row, head, index + i), job.HeadSize).Clear();
    }

    private static float* Scales(float* scales, int kvHead, int size) => scales == null ? null : scales + ((nint)kvHead * size);

    /// <summary>Queries as [element, query].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ReadQueries(in AttentionJob job, int row, int head, int past, int top, int rows, float* queries)
    {
        var query = stackalloc float[AttentionJob.MaxHeadSize];
        for (var i = 0; i < Queries; i++)
        {
            if (i < rows)
                job.ReadQuery(row, top + i, head, past + top + i, query);
            for (var d = 0; d < job.HeadSize; d++)
                queries[(d * Queries) + i] = query[d];
        }
    }

    /// <summary>Keys [from, end) as [block of 16, element, 16]; zeros up to the end of the last tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack<T>(void* cache, float* scales, int size, int from, int end, float* packed)
        where T : struct, ICacheElement
    {
        var key = stackalloc float[AttentionJob.MaxHeadSize];
        for (var j = from; j < ((end + Keys - 1) & -Keys); j++)
        {
            if (j < end)
                Read<T>(cache, (nint)j * size, scales, size, key);
            else
                new Span<float>(key, size).Clear();
            var target = packed + ((nint)(j & -VectorMath.Width) * size) + (j % VectorMath.Width);
            for (var d = 0; d < size; d++)
                target[d * VectorMath.Width] = key[d];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Unpack<T>(void* cache, float* scales, int size, int from, int end, float* values)
        where T : struct, ICacheElement
    {
        for (var j = from; j < end; j++)
            Read<T>(cache, (nint)j * size, scales, size, values + ((nint)j * size));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Read<T>(void* cache, nint index, float* scales, int size, float* target)
        where T : struct, ICacheElement
    {
        for (var i = 0; i < size; i += VectorMath.Width)
        {
            var values = T.Load(cache, index + i);
            if (scales != null)
                values *= Vector512.Load(scales + i);
            values.Store(target + i);
        }
    }

    /// <summary>Products of a tile: scores [8, stride].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Score(float* queries, float* keys, int size, float* scores, nint stride)
    {
        var (a0, a1, a2, a3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (a4, a5, a6, a7) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (b0, b1, b2, b3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (b4, b5, b6, b7) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var second = keys + ((nint)size * VectorMath.Width);
        for (var i = 0; i < size; i++)
        {
            var (k, l) = (Vector512.Load(keys), Vector512.Load(second));
            a0 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[0]), k, a0);
            b0 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[0]), l, b0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[1]), k, a1);
            b1 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[1]), l, b1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[2]), k, a2);
            b2 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[2]), l, b2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[3]), k, a3);
            b3 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[3]), l, b3);
            a4 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[4]), k, a4);
            b4 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[4]), l, b4);
            a5 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[5]), k, a5);
            b5 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[5]), l, b5);
            a6 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[6]), k, a6);
            b6 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[6]), l, b6);
            a7 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[7]), k, a7);
            b7 = Vector512.FusedMultiplyAdd(Vector512.Create(queries[7]), l, b7);
            queries += Queries;
            keys += VectorMath.Width;
            second += VectorMath.Width;
        }

        Store(scores, a0, b0, VectorMath.Width);
        Store(scores + stride, a1, b1, VectorMath.Width);
        Store(scores + (2 * stride), a2, b2, VectorMath.Width);
        Store(scores + (3 * stride), a3, b3, VectorMath.Width);
        Store(scores + (4 * stride), a4, b4, VectorMath.Width);
        Store(scores + (5 * stride), a5, b5, VectorMath.Width);
        Store(scores + (6 * stride), a6, b6, VectorMath.Width);
        Store(scores + (7 * stride), a7, b7, VectorMath.Width);
    }

    /// <summary>Two vectors of the values' elements by the weights [8, stride], times the queries' shares: [8, size].</summary>
    /// <remarks>The second vector begins at <paramref name="second"/>: at 0, where there is only one, which is then computed twice.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix(float* weights, nint stride, float* values, int size, int count, float* shares, float* mixed, int second)
    {
        var (a0, a1, a2, a3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (a4, a5, a6, a7) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (b0, b1, b2, b3) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var (b4, b5, b6, b7) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var fourth = weights + (4 * stride);
        for (var j = 0; j < count; j++)
        {
            var (v, w) = (Vector512.Load(values), Vector512.Load(values + second));
            a0 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[0]), v, a0);
            b0 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[0]), w, b0);
            a1 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[stride]), v, a1);
            b1 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[stride]), w, b1);
            a2 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[2 * stride]), v, a2);
            b2 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[2 * stride]), w, b2);
            a3 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[3 * stride]), v, a3);
            b3 = Vector512.FusedMultiplyAdd(Vector512.Create(weights[3 * stride]), w, b3);
            a4 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[0]), v, a4);
            b4 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[0]), w, b4);
            a5 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[stride]), v, a5);
            b5 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[stride]), w, b5);
            a6 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[2 * stride]), v, a6);
            b6 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[2 * stride]), w, b6);
            a7 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[3 * stride]), v, a7);
            b7 = Vector512.FusedMultiplyAdd(Vector512.Create(fourth[3 * stride]), w, b7);
            weights++;
            fourth++;
            values += size;
        }

        Store(mixed, a0 * shares[0], b0 * shares[0], second);
        Store(mixed + size, a1 * shares[1], b1 * shares[1], second);
        Store(mixed + (2 * size), a2 * shares[2], b2 * shares[2], second);
        Store(mixed + (3 * size), a3 * shares[3], b3 * shares[3], second);
        Store(mixed + (4 * size), a4 * shares[4], b4 * shares[4], second);
        Store(mixed + (5 * size), a5 * shares[5], b5 * shares[5], second);
        Store(mixed + (6 * size), a6 * shares[6], b6 * shares[6], second);
        Store(mixed + (7 * size), a7 * shares[7], b7 * shares[7], second);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(float* target, Vector512<float> low, Vector512<float> high, int second)
    {
        low.Store(target);
        high.Store(target + second);
    }
}
