using System.Runtime.CompilerServices;

namespace Tessera.Engine.Kernels;

/// <summary>
/// Attention of several new positions per row. Each query adds up its keys and values one after the other from the first position on, so that what it gets
/// depends neither on the other queries of the call nor on where a prompt was cut into chunks.
/// </summary>
[SkipLocalsInit]
internal static unsafe class PromptAttention<TWidth, TVector>
    where TWidth : struct, IVectorWidth<TVector>
    where TVector : struct
{
    private const int Queries = PromptTile.Queries;

    /// <summary>Keys of a tile; lengths of packed keys are multiples of it.</summary>
    public static int Keys => 2 * TWidth.Count;

    /// <summary>Appends a row's new positions of one head to the cache and lays out all of its keys for <see cref="Run"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Prepare<TElement>(in AttentionJob job, int row, int kvHead)
        where TElement : struct, ICacheElement
    {
        var (past, count) = (job.PastOf(row), job.CountOf(row));
        for (var i = 0; i < count; i++)
            job.Append<TWidth, TVector, TElement>(row, i, kvHead, past + i);

        var from = job.FirstSeen(past) & -Keys;
        var cache = job.CacheIndex(row, kvHead) * TElement.ByteCount;
        var part = ((nint)row * job.KvHeads) + kvHead;
        var size = job.HeadSize;
        var packed = job.PackedKeys + (part * job.PackedLength * size);
        Pack<TElement>((byte*)job.KeyCache + cache, job.KeyScalesOf(kvHead), size, from, past + count, packed);
        if (job.ValueScales != null)
            Unpack<TElement>((byte*)job.ValueCache + cache, job.ValueScalesOf(kvHead), size, from, past + count, job.PlainValues + (part * job.PackedLength * size));
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
            PromptTile<TWidth, TVector>.Score(queries, keys + ((nint)(first + j) * size), size, scores + j, width);

        var shares = stackalloc float[Queries];
        for (var i = 0; i < Queries; i++)
        {
            var line = scores + ((nint)i * width);
            var position = past + top + Math.Min(i, rows - 1);
            var seen = job.FirstSeen(position) - first;
            shares[i] = VectorMath<TWidth, TVector>.Softmax(line, seen, position + 1 - first);
            new Span<float>(line, VectorMath<TWidth, TVector>.RoundDown(seen)).Clear();
            var done = VectorMath<TWidth, TVector>.RoundUp(position + 1 - first);
            new Span<float>(line + done, width - done).Clear();
        }

        var mixed = stackalloc float[Queries * AttentionJob.MaxHeadSize];
        PromptTile<TWidth, TVector>.Mix(scores, width, values + ((nint)first * size), size, end - first, shares, mixed);
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

    /// <summary>Queries as [element, query].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ReadQueries(in AttentionJob job, int row, int head, int past, int top, int rows, float* queries)
    {
        var query = stackalloc float[AttentionJob.MaxHeadSize];
        for (var i = 0; i < Queries; i++)
        {
            if (i < rows)
                job.ReadQuery<TWidth, TVector>(row, top + i, head, past + top + i, query);
            for (var d = 0; d < job.HeadSize; d++)
                queries[(d * Queries) + i] = query[d];
        }
    }

    /// <summary>Keys [from, end) as [block, element, position of the block]; a block has a vector's width; zeros up to the end of the last tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pack<TElement>(void* cache, float* scales, int size, int from, int end, float* packed)
        where TElement : struct, ICacheElement
    {
        var key = stackalloc float[AttentionJob.MaxHeadSize];
        for (var j = from; j < ((end + Keys - 1) & -Keys); j++)
        {
            if (j < end)
                Read<TElement>(cache, (nint)j * size, scales, size, key);
            else
                new Span<float>(key, size).Clear();
            var target = packed + ((nint)VectorMath<TWidth, TVector>.RoundDown(j) * size) + (j % TWidth.Count);
            for (var d = 0; d < size; d++)
                target[d * TWidth.Count] = key[d];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Unpack<TElement>(void* cache, float* scales, int size, int from, int end, float* values)
        where TElement : struct, ICacheElement
    {
        for (var j = from; j < end; j++)
            Read<TElement>(cache, (nint)j * size, scales, size, values + ((nint)j * size));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Read<TElement>(void* cache, nint index, float* scales, int size, float* target)
        where TElement : struct, ICacheElement
    {
        for (var i = 0; i < size; i += TWidth.Count)
        {
            var values = TElement.Load<TWidth, TVector>(cache, index + i);
            if (scales != null)
                values = TWidth.Multiply(values, TWidth.Load(scales + i));
            TWidth.Store(values, target + i);
        }
    }
}
