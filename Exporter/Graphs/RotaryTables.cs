using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Onnx;

namespace Tessera.Exporter.Graphs;

/// <summary>Cosines and sines of the rotary embedding for every position.</summary>
internal static class RotaryTables
{
    /// <summary>Adds <c>rotary.cos</c> and <c>rotary.sin</c>, [maxPositions, headDim / 2] each.</summary>
    /// <param name="graph">Gets them.</param>
    /// <param name="type">Type of their elements.</param>
    /// <param name="rope">Gives the frequencies.</param>
    /// <param name="maxPositions">Positions.</param>
    /// <param name="headDim">Elements per head.</param>
    public static void Add(OnnxGraphBuilder graph, OnnxElementType type, RopeScaling rope, int maxPositions, int headDim)
    {
        var frequencies = rope.Frequencies(headDim);
        Add("rotary.cos", Math.Cos);
        Add("rotary.sin", Math.Sin);

        void Add(string name, Func<double, double> turn) => graph.Stored(name, type, [maxPositions, frequencies.Length], stream =>
        {
            var row = new float[frequencies.Length];
            var encoder = new FloatEncoder("config.json", name, type, stream);
            for (var position = 0; position < maxPositions; position++)
            {
                for (var i = 0; i < row.Length; i++)
                {
                    // Angles are rounded to single precision as in training, so that far positions agree with the trained model.
                    var angle = position * frequencies[i];
                    row[i] = (float)(turn(angle) * rope.AttentionFactor);
                }

                encoder.Write(row);
            }
        });
    }
}
