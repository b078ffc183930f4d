namespace Tessera.Exporter.Graphs;

/// <summary>Cosines and sines of the rotary embedding for every position.</summary>
internal static class RotaryCache
{
    /// <summary>Computes both tables, [maxPositions, headDim / 2] each.</summary>
    /// <param name="maxPositions">Positions.</param>
    /// <param name="headDim">Elements per head.</param>
    /// <param name="theta">Base of the frequencies.</param>
    public static (float[] Cosines, float[] Sines) Compute(int maxPositions, int headDim, double theta)
    {
        var half = headDim / 2;
        var cosines = new float[checked(maxPositions * half)];
        var sines = new float[cosines.Length];
        for (var i = 0; i < half; i++)
        {
            // Angles are rounded to single precision as in training, so that far positions agree with the trained model.
            var frequency = (float)Math.Pow(theta, -2.0 * i / headDim);
            for (var position = 0; position < maxPositions; position++)
            {
                var angle = position * frequency;
                cosines[(position * half) + i] = (float)Math.Cos(angle);
                sines[(position * half) + i] = (float)Math.Sin(angle);
            }
        }

        return (cosines, sines);
    }
}
