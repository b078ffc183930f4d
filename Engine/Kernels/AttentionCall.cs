using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Kernels;

/// <summary>A call of the operator: its tensors are checked, then the work is spread over the session's threads.</summary>
internal static unsafe class AttentionCall
{
    // Multiplications and additions that are not worth waking another thread for.
    private const long WorthThreads = 1_000_000;

    // What it takes to write, turn and lay out one number of a prompt's keys and values, in multiplications and additions.
    private const long WorkOfPreparing = 64;

    // More parts than threads: whoever is held up by something else holds up little.
    private const int Parts = 16;

    /// <summary>Runs a call.</summary>
    /// <returns>0, or the runtime's status of an error.</returns>
    public static nint Run(in AttentionSettings settings, nint context)
    {
        var query = Input(context, AttentionInput.Query);
        var pastKey = Input(context, AttentionInput.PastKey);
        var pastValue = Input(context, AttentionInput.PastValue);
        var lengths = Input(context, AttentionInput.LastPositions);
        var total = Input(context, AttentionInput.TotalLength);
        if (query.Rank != 3 || pastKey.Rank != 4 || pastValue.Rank != 4 || !lengths.IsPresent || !total.IsPresent)
            return Invalid("query [B, S, width], past key and value [B, kvHeads, positions, size], seqlens_k and total_sequence_length are needed");
        if (Input(context, AttentionInput.PositionIds).IsPresent || Input(context, AttentionInput.Bias).IsPresent || Input(context, AttentionInput.Sinks).IsPresent)
            return Invalid("position ids, attention bias and head sinks are not taken");

        var job = new AttentionJob
        {
            Rows = (int)query[0],
            Positions = (int)query[1],
            Heads = settings.Heads,
            KvHeads = settings.KvHeads,
            HeadSize = (int)pastKey[3],
            Capacity = (int)pastKey[2],
            Window = settings.Window,
            LastPositions = (int*)lengths.Data,
            IsWide = settings.IsWide,
        };
        job.Scale = settings.Scale != 0 ? settings.Scale : 1 / MathF.Sqrt(job.HeadSize);
        job.IsFirst = job.Positions > 1 && job.Positions == *(int*)total.Data;
        if (FindProblem(ref job, settings, context, query) is { } problem)
            return Invalid(problem);

        BindOutputs(ref job, context, pastKey, pastValue);
        Run(ref job, context);
        return 0;
    }

    /// <summary>Points the job at its inputs, and says what does not fit.</summary>
    private static string? FindProblem(ref AttentionJob job, in AttentionSettings settings, nint context, OrtKernelTensor query)
    {
        var size = job.HeadSize;
        if (!AttentionOperator.Takes(size))
            return $"heads of {size} elements; expected a multiple of {AttentionOperator.HeadSizeStep} up to {AttentionJob.MaxHeadSize}";
        job.Queries = (float*)query.Data;
        job.QueryStride = job.KeyStride = (nint)query[2];
        var (key, value) = (Input(context, AttentionInput.Key), Input(context, AttentionInput.Value));
        if (key.Length != value.Length)
            return $"{key.Length} numbers of keys and {value.Length} of values";
        if (key.IsPresent)
        {
            job.Keys = (float*)key.Data;
            job.Values = (float*)value.Data;
            job.KeyStride = (nint)key[2];
        }
        else
        {
            job.Keys = job.Queries + (job.Heads * size);
            job.Values = job.Keys + (job.KvHeads * size);
        }

        var width = (job.Heads + (key.IsPresent ? 0 : 2 * job.KvHeads)) * size;
        if (job.QueryStride != width || (key.IsPresent && job.KeyStride != job.KvHeads * size))
            return $"queries of {job.QueryStride} numbers per position; expected {width}";
        if (settings.IsByte)
        {
            var (keyScales, valueScales) = (Input(context, AttentionInput.KeyScales), Input(context, AttentionInput.ValueScales));
            if (keyScales.Length != job.KvHeads * size || valueScales.Length != job.KvHeads * size)
                return $"{keyScales.Length} scales of keys and {valueScales.Length} of values; expected one per channel: {job.KvHeads * size}";
            job.KeyScales = (float*)keyScales.Data;
            job.ValueScales = (float*)valueScales.Data;
        }

        var tableLength = (long)job.Capacity;
        if (settings.IsRotary)
        {
            var cosines = Input(context, AttentionInput.Cosines);
            var sines = Input(context, AttentionInput.Sines);
            if (!cosines.IsPresent || sines.Length != cosines.Length || 2 * cosines[1] > size)
                return "no rotary tables, or wider ones than a head";
            tableLength = cosines[0];
            job.Cosines = (float*)cosines.Data;
            job.RotaryHalf = (int)cosines[1];
            job.Sines = (float*)sines.Data;
        }

        for (var row = 0; row < job.Rows; row++)
        {
            if (job.LastPositions[row] < 0 || job.LastPositions[row] >= job.Capacity || job.PastOf(row) < 0)
                return $"seqlens_k of row {row} is {job.LastPositions[row]} with {job.Positions} new positions and room for {job.Capacity}";
            if (job.LastPositions[row] >= tableLength)
                return $"rotary tables of {tableLength} positions; row {row} reaches position {job.LastPositions[row]}";
        }

        return null;
    }

    /// <summary>Present is past where the caller bound it so; else what is past is copied first.</summary>
    private static void BindOutputs(ref AttentionJob job, nint context, OrtKernelTensor pastKey, OrtKernelTensor pastValue)
    {
        job.Output = (float*)OrtKernel.Output(context, 0, [job.Rows, job.Positions, (long)job.Heads * job.HeadSize]).Data;
        ReadOnlySpan<long> shape = [job.Rows, job.KvHeads, job.Capacity, job.HeadSize];
        var keys = OrtKernel.Output(context, 1, shape);
        var values = OrtKernel.Output(context, 2, shape);
        job.KeyCache = (void*)keys.Data;
        job.ValueCache = (void*)values.Data;
        var bytes = (long)job.Rows * job.KvHeads * job.Capacity * job.HeadSize * (job.KeyScales == null ? FloatElement.ByteCount : ByteElement.ByteCount);
        if (keys.Data != pastKey.Data)
            Buffer.MemoryCopy((void*)pastKey.Data, job.KeyCache, bytes, bytes);
        if (values.Data != pastValue.Data)
            Buffer.MemoryCopy((void*)pastValue.Data, job.ValueCache, bytes, bytes);
    }

    private static void Run(ref AttentionJob job, nint context)
    {
        var isByte = job.KeyScales != null;
        var pairs = job.Rows * job.KvHeads;
        if (job.Positions == 1)
        {
            Spread(ref job, context, isByte ? &DecodeBytes : &DecodeFloats, pairs, Work(job));
            return;
        }

        var most = 0;
        for (var row = 0; row < job.Rows; row++)
            most = Math.Max(most, job.PastOf(row) + job.CountOf(row));
        var keysAtOnce = job.IsWide ? PromptAttention<Width512, Vector512<float>>.Keys : PromptAttention<Width256, Vector256<float>>.Keys;
        job.PackedLength = (most + keysAtOnce - 1) & -keysAtOnce;
        var scratch = checked(pairs * job.PackedLength * job.HeadSize);
        job.PackedKeys = AttentionScratch.Keys(scratch);
        job.PlainValues = isByte ? AttentionScratch.Values(scratch) : null;
        Spread(ref job, context, isByte ? &PrepareBytes : &PrepareFloats, pairs, WorkOfPreparing * scratch);
        Spread(ref job, context, &Tile, job.Rows * job.Heads * Tiles(job), Work(job));
    }

    /// <summary>Multiplications and additions of a call.</summary>
    private static long Work(in AttentionJob job)
    {
        var work = 0L;
        for (var row = 0; row < job.Rows; row++)
            work += 2L * job.CountOf(row) * (job.LastPositions[row] + 1) * job.Heads * job.HeadSize;
        return work;
    }

    private static void Spread(ref AttentionJob job, nint context, delegate* unmanaged<void*, nuint, void> part, int count, long work)
    {
        fixed (AttentionJob* state = &job)
        {
            if (work >= WorthThreads && count > 1)
            {
                OrtKernel.ParallelFor(context, part, count, Math.Min(count, Parts), state);
                return;
            }

            for (var i = 0; i < count; i++)
                part(state, (nuint)i);
        }
    }

    private static int Tiles(in AttentionJob job) => (job.Positions + PromptTile.Queries - 1) / PromptTile.Queries;

    [UnmanagedCallersOnly]
    private static void DecodeFloats(void* state, nuint pair) => Decode<FloatElement>((AttentionJob*)state, (int)pair);

    [UnmanagedCallersOnly]
    private static void DecodeBytes(void* state, nuint pair) => Decode<ByteElement>((AttentionJob*)state, (int)pair);

    [UnmanagedCallersOnly]
    private static void PrepareFloats(void* state, nuint pair) => Prepare<FloatElement>((AttentionJob*)state, (int)pair);

    [UnmanagedCallersOnly]
    private static void PrepareBytes(void* state, nuint pair) => Prepare<ByteElement>((AttentionJob*)state, (int)pair);

    [UnmanagedCallersOnly]
    private static void Tile(void* state, nuint index)
    {
        var job = (AttentionJob*)state;
        var (pair, tile) = Math.DivRem((int)index, Tiles(*job));
        var (row, head) = Math.DivRem(pair, job->Heads);
        if (job->IsWide)
            PromptAttention<Width512, Vector512<float>>.Run(*job, row, head, tile);
        else
            PromptAttention<Width256, Vector256<float>>.Run(*job, row, head, tile);
    }

    private static void Decode<TElement>(AttentionJob* job, int pair)
        where TElement : struct, ICacheElement
    {
        var (row, kvHead) = Math.DivRem(pair, job->KvHeads);
        if (job->IsWide)
            DecodeAttention<Width512, Vector512<float>>.Run<TElement>(*job, row, kvHead);
        else
            DecodeAttention<Width256, Vector256<float>>.Run<TElement>(*job, row, kvHead);
    }

    private static void Prepare<TElement>(AttentionJob* job, int pair)
        where TElement : struct, ICacheElement
    {
        var (row, kvHead) = Math.DivRem(pair, job->KvHeads);
        if (job->IsWide)
            PromptAttention<Width512, Vector512<float>>.Prepare<TElement>(*job, row, kvHead);
        else
            PromptAttention<Width256, Vector256<float>>.Prepare<TElement>(*job, row, kvHead);
    }

    private static nint Invalid(string message) => OrtKernel.Error(OrtErrorCode.InvalidArgument, $"GroupQueryAttention: {message}");

    private static OrtKernelTensor Input(nint context, AttentionInput input) => OrtKernel.Input(context, (nuint)input);
}
