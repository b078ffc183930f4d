using System.Numerics.Tensors;
using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;

namespace Tessera.Engine.Sampling;

/// <summary>
/// Logits to token id. The result for a row depends on that row, its mask, its options and its position alone, so a sequence gets the same tokens alone or
/// batched. Owned by the engine's thread; reuses its buffers.
/// </summary>
/// <param name="vocabularySize">Width of a logits row.</param>
internal sealed class Sampler(int vocabularySize)
{
    private readonly float[] _logits = new float[vocabularySize];
    private readonly float[] _weights = new float[vocabularySize];
    private readonly CandidateHeap _heap = new(vocabularySize);
    private readonly List<Candidate> _kept = [];

    /// <summary>Picks the next token.</summary>
    /// <param name="row">Logits, [vocabularySize].</param>
    /// <param name="mask">Allowed ids; a single one is taken whatever the logits are.</param>
    /// <param name="options">Temperature, top-k, top-p and seed.</param>
    /// <param name="position">Which generated token of the sequence this is, from 0: the counter of the random numbers.</param>
    /// <returns>The id; null when no allowed logit is a usable number.</returns>
    public int? Sample(ReadOnlySpan<float> row, TokenMask mask, SamplingOptions options, int position)
    {
        if (row.Length != vocabularySize)
        {
            throw new ArgumentException($"a logits row has {row.Length} elements, expected {vocabularySize}", nameof(row));
        }

        if (mask.Single is { } forced)
        {
            return forced;
        }

        return options.Temperature == 0 ? Greedy(row, mask) : Draw(row, mask, options, position);
    }

    // Ties go to the lowest id: ranges are in order, and within a range the first maximum counts.
    private static int? Greedy(ReadOnlySpan<float> row, TokenMask mask)
    {
        int? best = null;
        var bestLogit = float.NegativeInfinity;
        foreach (var range in mask.Ranges)
        {
            var allowed = row[range.First..range.End];
            var index = TensorPrimitives.IndexOfMax(allowed);
            if (float.IsNaN(allowed[index]))
            {
                return null;
            }

            if (allowed[index] > bestLogit)
            {
                (best, bestLogit) = (range.First + index, allowed[index]);
            }
        }

        return best;
    }

    private int? Draw(ReadOnlySpan<float> row, TokenMask mask, SamplingOptions options, int position)
    {
        row.CopyTo(_logits);
        mask.Apply(_logits);
        var highest = TensorPrimitives.Max<float>(_logits);
        if (!float.IsFinite(highest))
        {
            return null;
        }

        // exp((logit - highest) / temperature): the best candidate weighs 1, and nothing overflows at any temperature.
        TensorPrimitives.Subtract(_logits, highest, _weights);
        TensorPrimitives.Divide(_weights, options.Temperature, _weights);
        TensorPrimitives.Exp(_weights, _weights);

        var unit = CounterRandom.NextUnit(options.Seed, (ulong)position);
        return options.TopK == 0 && options.TopP >= 1 ? DrawFromAll(unit) : DrawFromBest(unit, options);
    }

    private int DrawFromAll(double unit)
    {
        var target = unit * Total();
        var last = 0;
        double sum = 0;
        for (var id = 0; id < _weights.Length; id++)
        {
            if (_weights[id] == 0)
            {
                continue;
            }

            sum += _weights[id];
            last = id;
            if (sum > target)
            {
                break;
            }
        }

        return last;
    }

    // Top-k first, then top-p within what is left: the usual order. Takes candidates from a heap instead of sorting the vocabulary.
    private int DrawFromBest(double unit, SamplingOptions options)
    {
        var limit = options.TopK == 0 ? vocabularySize : Math.Min(options.TopK, vocabularySize);
        _heap.Fill(_weights);
        _kept.Clear();
        double sum = 0;
        var nucleus = options.TopK == 0 ? options.TopP * Total() : double.PositiveInfinity;
        while (_kept.Count < limit && sum < nucleus && _heap.TryPop(out var candidate))
        {
            _kept.Add(candidate);
            sum += candidate.Weight;
        }

        if (options.TopK > 0)
        {
            sum = CutToNucleus(options.TopP * sum);
        }

        return DrawFromKept(unit * sum);
    }

    // Keeps the shortest beginning of the candidates that weighs at least the nucleus; gives its weight.
    private double CutToNucleus(double nucleus)
    {
        double sum = 0;
        for (var i = 0; i < _kept.Count; i++)
        {
            sum += _kept[i].Weight;
            if (sum >= nucleus)
            {
                _kept.RemoveRange(i + 1, _kept.Count - i - 1);
                break;
            }
        }

        return sum;
    }

    private int DrawFromKept(double target)
    {
        double sum = 0;
        foreach (var candidate in _kept)
        {
            sum += candidate.Weight;
            if (sum > target)
            {
                return candidate.Id;
            }
        }

        return _kept[^1].Id;
    }

    // In double: a float sum over a large vocabulary would lose small weights.
    private double Total()
    {
        double sum = 0;
        foreach (var weight in _weights)
        {
            sum += weight;
        }

        return sum;
    }
}
