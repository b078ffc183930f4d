using System.Numerics.Tensors;
using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;

namespace Tessera.Engine.Sampling;

/// <summary>Whose next token a row of logits gives; several may draw from one.</summary>
/// <param name="LogitsRow">Row of the logits.</param>
/// <param name="Mask">Allowed ids; a single one is taken whatever the logits are.</param>
/// <param name="Options">Sampling options.</param>
/// <param name="Seed">Seed of the sequence.</param>
/// <param name="Position">Which generated token of the sequence this is, from 0: the counter of the random numbers.</param>
/// <param name="History">What the sequence has said; null without penalties.</param>
internal readonly record struct SamplingRow(int LogitsRow, TokenMask Mask, SamplingOptions Options, ulong Seed, int Position, TokenHistory? History);

/// <summary>
/// Logits to token ids, all rows of a step in one pass of vector operations. The result for a row depends on that row and its <see cref="SamplingRow"/> alone,
/// so a sequence gets the same tokens alone or batched. Owned by the engine's thread; reuses its buffers and allocates nothing per token.
/// </summary>
/// <remarks>
/// In this order: logit bias, penalties, grammar mask, temperature, min-p, top-k, top-p. Greedy (temperature 0) takes the best after the mask, of equals the
/// lowest id.
/// </remarks>
/// <param name="vocabularySize">Width of a logits row.</param>
internal sealed class Sampler(int vocabularySize)
{
    /// <summary>Stands for a row without a usable logit.</summary>
    public const int None = -1;

    // The nucleus filter leaves this much room for rounding.
    private const float Slack = 0.999f;

    private readonly float[] _logits = new float[vocabularySize];
    private readonly float[] _weights = new float[vocabularySize];
    private readonly CandidateHeap _heap = new(vocabularySize);
    private readonly BestCandidates _best = new(vocabularySize);
    private Candidate[] _kept = new Candidate[64];

    /// <summary>Picks the next token of every row.</summary>
    /// <param name="logits">Logits, [any number of rows, vocabularySize].</param>
    /// <param name="rows">What is drawn from them.</param>
    /// <param name="ids">The ids; <see cref="None"/> where no allowed logit is a usable number.</param>
    public void Sample(ReadOnlySpan<float> logits, ReadOnlySpan<SamplingRow> rows, Span<int> ids)
    {
        for (var i = 0; i < rows.Length; i++)
        {
            if ((rows[i].LogitsRow + 1L) * vocabularySize > logits.Length)
            {
                throw new ArgumentException($"{logits.Length} logits have no row {rows[i].LogitsRow} of {vocabularySize}", nameof(logits));
            }

            ids[i] = Sample(logits.Slice(rows[i].LogitsRow * vocabularySize, vocabularySize), rows[i]);
        }
    }

    /// <summary>Picks the next token of one row.</summary>
    /// <param name="logits">Logits, [vocabularySize].</param>
    /// <param name="row">Whose they are.</param>
    /// <returns>The id; <see cref="None"/> when no allowed logit is a usable number.</returns>
    public int Sample(ReadOnlySpan<float> logits, in SamplingRow row)
    {
        if (logits.Length != vocabularySize)
        {
            throw new ArgumentException($"a logits row has {logits.Length} elements, expected {vocabularySize}", nameof(logits));
        }

        if (row.Mask.Single is { } forced)
        {
            return forced;
        }

        var effective = Adjust(logits, row);
        return row.Options.Temperature == 0 ? Greedy(effective, row.Mask) : Draw(effective, row);
    }

    // Bias and penalties; the row itself when there are none.
    private ReadOnlySpan<float> Adjust(ReadOnlySpan<float> logits, in SamplingRow row)
    {
        if (row.Options.BiasEntries.Length == 0 && row.History is null)
        {
            return logits;
        }

        logits.CopyTo(_logits);
        foreach (var (id, value) in row.Options.BiasEntries)
        {
            _logits[id] += value;
        }

        row.History?.Apply(row.Options, _logits);
        return _logits;
    }

    // Ties go to the lowest id: ranges are in order, and within a range the first maximum counts.
    private static int Greedy(ReadOnlySpan<float> logits, TokenMask mask)
    {
        var best = None;
        var bestLogit = float.NegativeInfinity;
        foreach (var range in mask.Ranges)
        {
            var allowed = logits[range.First..range.End];
            var index = TensorPrimitives.IndexOfMax(allowed);
            if (float.IsNaN(allowed[index]))
            {
                return None;
            }

            if (allowed[index] > bestLogit)
            {
                (best, bestLogit) = (range.First + index, allowed[index]);
            }
        }

        return best;
    }

    private int Draw(ReadOnlySpan<float> logits, in SamplingRow row)
    {
        var highest = float.NegativeInfinity;
        foreach (var range in row.Mask.Ranges)
        {
            // Max gives NaN when there is one, here and below.
            highest = MathF.Max(highest, TensorPrimitives.Max(logits[range.First..range.End]));
        }

        if (!float.IsFinite(highest))
        {
            return None;
        }

        // exp((logit - highest) / temperature): the best candidate weighs 1, and nothing overflows at any temperature.
        foreach (var range in row.Mask.Ranges)
        {
            var weights = _weights.AsSpan(range.First..range.End);
            TensorPrimitives.Subtract(logits[range.First..range.End], highest, weights);
            TensorPrimitives.Divide(weights, row.Options.Temperature, weights);
            TensorPrimitives.Exp(weights, weights);
            DropBelow(weights, row.Options.MinP);
        }

        var unit = CounterRandom.NextUnit(row.Seed, (ulong)row.Position);
        return row.Options.TopK > 0 ? DrawFromTopK(unit, row)
            : row.Options.TopP < 1 ? DrawFromNucleus(unit, row)
            : DrawFromAll(unit, row.Mask);
    }

    // The best candidate weighs 1, so min-p is a weight.
    private static void DropBelow(Span<float> weights, float minP)
    {
        if (minP == 0)
        {
            return;
        }

        foreach (ref var weight in weights)
        {
            weight = weight >= minP ? weight : 0;
        }
    }

    private int DrawFromAll(double unit, TokenMask mask)
    {
        var target = unit * Total(mask);
        var last = None;
        double sum = 0;
        foreach (var range in mask.Ranges)
        {
            for (var id = range.First; id < range.End; id++)
            {
                if (_weights[id] == 0)
                {
                    continue;
                }

                sum += _weights[id];
                last = id;
                if (sum > target)
                {
                    return last;
                }
            }
        }

        return last;
    }

    // Top-k first, then top-p within what is left: the usual order.
    private int DrawFromTopK(double unit, in SamplingRow row)
    {
        _best.Begin(row.Options.TopK);
        foreach (var range in row.Mask.Ranges)
        {
            _best.Look(_weights.AsSpan(range.First..range.End), range.First, 0);
        }

        _best.Order();
        var kept = _best.Kept;
        double sum = 0;
        foreach (var candidate in kept)
        {
            sum += candidate.Weight;
        }

        var nucleus = row.Options.TopP * sum;
        double nucleusSum = 0;
        for (var i = 0; row.Options.TopP < 1 && i < kept.Length; i++)
        {
            nucleusSum += kept[i].Weight;
            if (nucleusSum >= nucleus)
            {
                return DrawFrom(kept[..(i + 1)], unit * nucleusSum);
            }
        }

        return DrawFrom(kept, unit * sum);
    }

    // The shortest list of best candidates that weighs at least top-p. Candidates below (1 - top-p) / n of the total cannot be in it: together they weigh less
    // than what it leaves out.
    private int DrawFromNucleus(double unit, in SamplingRow row)
    {
        var total = Total(row.Mask);
        var nucleus = row.Options.TopP * total;
        var least = (float)((1 - row.Options.TopP) * total / vocabularySize) * Slack;
        _heap.Clear();
        foreach (var range in row.Mask.Ranges)
        {
            for (var id = range.First; id < range.End; id++)
            {
                if (_weights[id] > least)
                {
                    _heap.Add(new Candidate(id, _weights[id]));
                }
            }
        }

        _heap.Order();
        var count = 0;
        double sum = 0;
        while (sum < nucleus && _heap.TryPop(out var candidate))
        {
            if (count == _kept.Length)
            {
                Array.Resize(ref _kept, 2 * count);
            }

            _kept[count++] = candidate;
            sum += candidate.Weight;
        }

        return DrawFrom(_kept.AsSpan(0, count), unit * sum);
    }

    private static int DrawFrom(ReadOnlySpan<Candidate> kept, double target)
    {
        double sum = 0;
        foreach (var candidate in kept)
        {
            sum += candidate.Weight;
            if (sum > target)
            {
                return candidate.Id;
            }
        }

        return kept[^1].Id;
    }

    private double Total(TokenMask mask)
    {
        double sum = 0;
        foreach (var range in mask.Ranges)
        {
            sum += WeightSum.Of(_weights.AsSpan(range.First..range.End));
        }

        return sum;
    }
}
