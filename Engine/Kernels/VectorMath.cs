using System.Runtime.CompilerServices;

namespace Tessera.Engine.Kernels;

/// <summary>Constants of single precision.</summary>
internal static class VectorMath
{
    public const int ExponentBias = 127;
    public const int MantissaBits = 23;
}

/// <summary>What the attention computes on vectors of any width.</summary>
internal static unsafe class VectorMath<TWidth, TVector>
    where TWidth : struct, IVectorWidth<TVector>
    where TVector : struct
{
    // exp of anything below is smaller than the smallest number with full precision.
    private const float LeastExponent = -87f;

    /// <summary>The next multiple of the vectors' width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int RoundUp(int count) => RoundDown(count + TWidth.Count - 1);

    /// <summary>The multiple of the vectors' width before.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int RoundDown(int count) => count & -TWidth.Count;

    /// <summary>e^x for x up to 0, with a relative error of about 1e-7; exactly 0 where that is less than e^-87, negative infinity included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Exp(TVector x)
    {
        // x = n ln 2 + r, with ln 2 in two parts so that r is exact, and the exponential of r as a polynomial.
        var n = TWidth.Round(TWidth.Multiply(x, TWidth.Create(1.44269504f)));
        var r = TWidth.MultiplyAdd(n, TWidth.Create(-0.693359375f), x);
        r = TWidth.MultiplyAdd(n, TWidth.Create(2.12194440e-4f), r);
        var p = TWidth.MultiplyAdd(TWidth.Create(1.9875691500e-4f), r, TWidth.Create(1.3981999507e-3f));
        p = TWidth.MultiplyAdd(p, r, TWidth.Create(8.3334519073e-3f));
        p = TWidth.MultiplyAdd(p, r, TWidth.Create(4.1665795894e-2f));
        p = TWidth.MultiplyAdd(p, r, TWidth.Create(1.6666665459e-1f));
        p = TWidth.MultiplyAdd(p, r, TWidth.Create(5.0000001201e-1f));
        p = TWidth.MultiplyAdd(p, TWidth.Multiply(r, r), TWidth.Add(r, TWidth.Create(1)));
        return TWidth.ZeroBelow(x, LeastExponent, TWidth.Multiply(p, TWidth.PowerOfTwo(n)));
    }

    /// <summary>Turns scores [first, end) into weights e^(score - largest), and everything else in their vectors into zeros.</summary>
    /// <param name="scores">Has room for whole vectors.</param>
    /// <param name="first">First score.</param>
    /// <param name="end">One past the last score.</param>
    /// <returns>1 / the sum of the weights.</returns>
    /// <remarks>Vectors begin at multiples of their width, so that the order of additions depends on the positions alone.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Softmax(float* scores, int first, int end)
    {
        var begin = RoundDown(first);
        var limit = RoundUp(end);
        for (var i = begin; i < first; i++)
            scores[i] = float.NegativeInfinity;
        for (var i = end; i < limit; i++)
            scores[i] = float.NegativeInfinity;

        var most = TWidth.Load(scores + begin);
        for (var i = begin + TWidth.Count; i < limit; i += TWidth.Count)
            most = TWidth.Max(most, TWidth.Load(scores + i));
        var largest = TWidth.Create(TWidth.Largest(most));

        var sum = TWidth.Create(0);
        for (var i = begin; i < limit; i += TWidth.Count)
        {
            var weight = Exp(TWidth.Subtract(TWidth.Load(scores + i), largest));
            TWidth.Store(weight, scores + i);
            sum = TWidth.Add(sum, weight);
        }

        return 1 / TWidth.Sum(sum);
    }

    /// <summary>Rotary embedding of one head: element i turns with element i + half; what is beyond both halves stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(float* source, float* target, float* cosines, float* sines, int half, int size)
    {
        var i = 0;
        for (; i + TWidth.Count <= half; i += TWidth.Count)
        {
            var (x, y) = (TWidth.Load(source + i), TWidth.Load(source + half + i));
            var (cos, sin) = (TWidth.Load(cosines + i), TWidth.Load(sines + i));
            TWidth.Store(TWidth.Subtract(TWidth.Multiply(x, cos), TWidth.Multiply(y, sin)), target + i);
            TWidth.Store(TWidth.Add(TWidth.Multiply(y, cos), TWidth.Multiply(x, sin)), target + half + i);
        }

        for (; i < half; i++)
        {
            var (x, y) = (source[i], source[half + i]);
            target[i] = (x * cosines[i]) - (y * sines[i]);
            target[half + i] = (y * cosines[i]) + (x * sines[i]);
        }

        for (i = 2 * half; i < size; i++)
            target[i] = source[i];
    }

    /// <summary>Multiplies numbers in place; a length is a multiple of the vectors' width.</summary>
    /// <param name="values">The numbers.</param>
    /// <param name="scales">One per number; null for ones.</param>
    /// <param name="size">How many.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Scale(float* values, float* scales, int size)
    {
        if (scales == null)
            return;
        for (var i = 0; i < size; i += TWidth.Count)
            TWidth.Store(TWidth.Multiply(TWidth.Load(values + i), TWidth.Load(scales + i)), values + i);
    }
}
