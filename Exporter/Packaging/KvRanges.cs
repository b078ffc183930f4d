using System.Numerics.Tensors;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Exporter.Packaging;

/// <summary>Largest absolute value of every element of keys and values over sequences that are typical for a model.</summary>
/// <param name="Keys">Per layer: [kvHeads * headDim].</param>
/// <param name="Values">Per layer: [kvHeads * headDim].</param>
internal sealed record KvRanges(IReadOnlyList<float[]> Keys, IReadOnlyList<float[]> Values)
{
    private const int Chunk = 256;

    /// <summary>Runs a decoder whose cache is in single precision over the sequences, and reads the cache.</summary>
    /// <param name="decoder">The graph.</param>
    /// <param name="architecture">Its shape.</param>
    /// <param name="sequences">At least one.</param>
    /// <param name="cancellationToken">Ends it between two runs.</param>
    public static unsafe KvRanges Measure(string decoder, Architecture architecture, IReadOnlyList<int[]> sequences, CancellationToken cancellationToken)
    {
        var size = architecture.KvHeadCount * architecture.HeadDim;
        var ranges = new KvRanges(
            [.. Enumerable.Range(0, architecture.LayerCount).Select(_ => new float[size])],
            [.. Enumerable.Range(0, architecture.LayerCount).Select(_ => new float[size])]);
        using var runner = new OnnxModelRunner(decoder, architecture, padId: 0, new EngineOptions { MaxSlots = 1 });
        foreach (var ids in sequences)
        {
            for (var start = 0; start < ids.Length; start += Chunk)
            {
                cancellationToken.ThrowIfCancellationRequested();
                runner.Run(new StepPlan([], new SequenceSlice(0, ids, start, Math.Min(Chunk, ids.Length - start), WantsLogits: false)));
            }

            for (var layer = 0; layer < architecture.LayerCount; layer++)
            {
                Widen(ranges.Keys[layer], (float*)runner.Cache.Keys(layer, 0), architecture, ids.Length);
                Widen(ranges.Values[layer], (float*)runner.Cache.Values(layer, 0), architecture, ids.Length);
            }

            runner.ReleaseSlot(0);
        }

        return ranges;
    }

    private static unsafe void Widen(float[] ranges, float* cache, Architecture architecture, int positions)
    {
        for (var head = 0; head < architecture.KvHeadCount; head++)
        {
            var target = ranges.AsSpan(head * architecture.HeadDim, architecture.HeadDim);
            for (var position = 0; position < positions; position++)
            {
                var row = new ReadOnlySpan<float>(cache + ((((long)head * architecture.MaxPositions) + position) * architecture.HeadDim), architecture.HeadDim);
                TensorPrimitives.MaxMagnitude(row, target, target);
            }

            TensorPrimitives.Abs(target, target);
        }
    }
}
