using System.Numerics.Tensors;

namespace Tessera.Exporter.Graphs.Formats;

/// <summary>Rounds numbers to 4 or 8 bits in blocks with one scale each: value = (q - zero) * scale with zero = 2^(bits - 1).</summary>
internal static class BlockQuantizer
{
    // The largest number of a block need not be kept exactly: a smaller scale may serve the others better.
    private static readonly float[] Stretches = [1f, 0.94f, 0.88f, 0.82f, 1.06f];

    /// <summary>Quantises one row.</summary>
    /// <param name="values">The row; whole blocks.</param>
    /// <param name="bits">4 or 8.</param>
    /// <param name="block">Numbers per block.</param>
    /// <param name="packed">Gets the row; of two numbers in a byte the first has the low bits.</param>
    /// <param name="scales">Gets one scale per block.</param>
    public static void Quantize(ReadOnlySpan<float> values, int bits, int block, Span<byte> packed, Span<float> scales)
    {
        Span<byte> levels = stackalloc byte[block];
        for (var i = 0; i < scales.Length; i++)
        {
            var numbers = values.Slice(i * block, block);
            scales[i] = bits == 4 ? BestScale(numbers) : TensorPrimitives.MaxMagnitude(numbers) is var most ? Math.Abs(most) / 127 : 0;
            Round(numbers, scales[i], 1 << (bits - 1), (1 << bits) - 1, levels);
            if (bits == 8)
            {
                levels.CopyTo(packed[(i * block)..]);
                continue;
            }

            for (var pair = 0; pair < block / 2; pair++)
            {
                packed[(i * block / 2) + pair] = (byte)(levels[2 * pair] | (levels[(2 * pair) + 1] << 4));
            }
        }
    }

    /// <summary>The scale with the smallest squared error among a few; the number furthest from zero lies at the lowest level, -8.</summary>
    private static float BestScale(ReadOnlySpan<float> numbers)
    {
        var furthest = TensorPrimitives.MaxMagnitude(numbers);
        if (furthest == 0)
        {
            return 0;
        }

        var (best, least) = (0f, float.PositiveInfinity);
        foreach (var stretch in Stretches)
        {
            var scale = furthest * stretch / -8;
            var inverse = 1 / scale;
            var error = 0f;
            foreach (var number in numbers)
            {
                var level = Math.Clamp(MathF.Round(number * inverse), -8, 7);
                var difference = number - (level * scale);
                error += difference * difference;
            }

            if (error < least)
            {
                (best, least) = (scale, error);
            }
        }

        return best;
    }

    private static void Round(ReadOnlySpan<float> numbers, float scale, int zero, int highest, Span<byte> levels)
    {
        var inverse = scale == 0 ? 0 : 1 / scale;
        for (var i = 0; i < numbers.Length; i++)
        {
            levels[i] = (byte)Math.Clamp((int)MathF.Round(numbers[i] * inverse) + zero, 0, highest);
        }
    }
}
