using Tessera.Models;

namespace Tessera.Testing.Graphs;

/// <summary>The slow way through <see cref="TinyDecoderWeights"/>: the whole sequence, in double precision, straight from the formulas.</summary>
public static class TinyDecoderReference
{
    /// <summary>Logits of the last position of a sequence.</summary>
    public static double[] Logits(TinyDecoderWeights weights, ReadOnlySpan<int> ids, int padId)
    {
        var shape = weights.Architecture;
        var states = Embed(weights, ids, padId);
        foreach (var layer in weights.Layers)
        {
            var normed = states.Select(state => Normalise(state, layer.AttentionNorm)).ToArray();
            var attended = Attend(shape, Rotate(shape, Multiply(normed, layer.Query)), Rotate(shape, Multiply(normed, layer.Key)), Multiply(normed, layer.Value));
            states = Add(states, Multiply(attended, layer.Output));
            normed = [.. states.Select(state => Normalise(state, layer.FeedForwardNorm))];
            var gated = Multiply(normed, layer.Gate).Zip(Multiply(normed, layer.Up), (gate, up) => gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u).ToArray());
            states = Add(states, Multiply([.. gated], layer.Down));
        }

        return Multiply([Normalise(states[^1], weights.FinalNorm)], weights.Head)[0];
    }

    private static double[][] Embed(TinyDecoderWeights weights, ReadOnlySpan<int> ids, int padId)
    {
        var hidden = weights.Architecture.HiddenSize;
        var states = new double[ids.Length][];
        for (var position = 0; position < ids.Length; position++)
        {
            var state = new double[hidden];
            for (var distance = 0; distance <= weights.NgramEmbeddings.Count; distance++)
            {
                var table = distance == 0 ? weights.Embeddings : weights.NgramEmbeddings[distance - 1];
                var id = position - distance < 0 ? padId : ids[position - distance];
                for (var i = 0; i < hidden; i++)
                    state[i] += table[(id * hidden) + i];
            }

            states[position] = state;
        }

        return states;
    }

    private static double[] Normalise(double[] state, float[] weight)
    {
        var scale = 1 / Math.Sqrt(state.Sum(x => x * x) / state.Length + TinyDecoderWeights.Epsilon);
        return [.. state.Zip(weight, (x, w) => x * scale * w)];
    }

    private static double[][] Multiply(double[][] states, float[] matrix)
    {
        var columns = matrix.Length / states[0].Length;
        return
        [
            .. states.Select(state =>
            {
                var result = new double[columns];
                for (var i = 0; i < state.Length; i++)
                {
                    for (var j = 0; j < columns; j++)
                        result[j] += state[i] * matrix[(i * columns) + j];
                }

                return result;
            })
        ];
    }

    private static double[][] Add(double[][] left, double[][] right) => [.. left.Zip(right, (a, b) => a.Zip(b, (x, y) => x + y).ToArray())];

    // Element i turns with element i + headDim / 2, as in Hugging Face's rotate_half.
    private static double[][] Rotate(Architecture shape, double[][] states)
    {
        var half = shape.HeadDim / 2;
        for (var position = 0; position < states.Length; position++)
        {
            var state = states[position];
            for (var head = 0; head < state.Length; head += shape.HeadDim)
            {
                for (var pair = 0; pair < half; pair++)
                {
                    var (sin, cos) = Math.SinCos(TinyDecoderGraph.Angle(shape, position, pair));
                    var (a, b) = (state[head + pair], state[head + pair + half]);
                    (state[head + pair], state[head + pair + half]) = ((a * cos) - (b * sin), (b * cos) + (a * sin));
                }
            }
        }

        return states;
    }

    private static double[][] Attend(Architecture shape, double[][] queries, double[][] keys, double[][] values)
    {
        var group = shape.HeadCount / shape.KvHeadCount;
        var result = new double[queries.Length][];
        for (var position = 0; position < queries.Length; position++)
        {
            result[position] = new double[shape.HeadCount * shape.HeadDim];
            for (var head = 0; head < shape.HeadCount; head++)
            {
                var (from, kv) = (head * shape.HeadDim, head / group * shape.HeadDim);
                var scores = new double[position + 1];
                for (var other = 0; other <= position; other++)
                {
                    for (var i = 0; i < shape.HeadDim; i++)
                        scores[other] += queries[position][from + i] * keys[other][kv + i];
                    scores[other] = Math.Exp(scores[other] / Math.Sqrt(shape.HeadDim));
                }

                var total = scores.Sum();
                for (var other = 0; other <= position; other++)
                {
                    for (var i = 0; i < shape.HeadDim; i++)
                        result[position][from + i] += scores[other] / total * values[other][kv + i];
                }
            }
        }

        return result;
    }
}
