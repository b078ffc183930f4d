using System.Numerics.Tensors;
using Tessera.Engine.Requests;

namespace Tessera.Engine.Sampling;

/// <summary>Log probabilities of the distribution that raw logits give over the whole vocabulary. Owned by the engine's thread; reuses its buffers.</summary>
/// <param name="vocabularySize">Width of a logits row.</param>
internal sealed class LogprobReader(int vocabularySize)
{
    /// <summary>Stands for anything less probable, and for what is no number: JSON has neither NaN nor infinity.</summary>
    public const float Least = -9999;

    private readonly float[] _weights = new float[vocabularySize];
    private readonly BestCandidates _best = new(vocabularySize);

    /// <summary>Log probabilities at one place.</summary>
    /// <param name="row">Raw logits, [vocabularySize].</param>
    /// <param name="id">The token that was taken.</param>
    /// <param name="topCount">Most probable tokens to report.</param>
    public TokenLogprob Read(ReadOnlySpan<float> row, int id, int topCount)
    {
        var highest = TensorPrimitives.Max(row);
        TensorPrimitives.Subtract(row, highest, _weights);
        TensorPrimitives.Exp(_weights, _weights);
        var normaliser = highest + Math.Log(WeightSum.Of(_weights));
        var top = topCount == 0 ? [] : new (int, float)[Math.Min(topCount, vocabularySize)];
        if (topCount > 0)
        {
            _best.Begin(topCount);
            _best.Look(row, 0, float.NegativeInfinity);
            _best.Order();
            Array.Resize(ref top, _best.Kept.Length);
            for (var i = 0; i < top.Length; i++)
            {
                top[i] = (_best.Kept[i].Id, Limit(_best.Kept[i].Weight - normaliser));
            }
        }

        return new TokenLogprob(id, Limit(row[id] - normaliser), top);
    }

    private static float Limit(double logprob) => logprob >= Least ? (float)Math.Min(0, logprob) : Least;
}

/// <summary>Sums of weights.</summary>
internal static class WeightSum
{
    private const int BlockLength = 256;

    /// <summary>The sum, in double over short vectorised sums: a float sum over a large vocabulary would lose small weights.</summary>
    public static double Of(ReadOnlySpan<float> weights)
    {
        double sum = 0;
        for (var start = 0; start < weights.Length; start += BlockLength)
        {
            sum += TensorPrimitives.Sum(weights.Slice(start, Math.Min(BlockLength, weights.Length - start)));
        }

        return sum;
    }
}
