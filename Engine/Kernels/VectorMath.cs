using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Engine.Kernels;

/// <summary>What the attention computes on vectors of 16 numbers.</summary>
internal static unsafe class VectorMath
{
    /// <summary>Numbers of a vector.</summary>
    public const int Width = 16;

    // exp of anything below is smaller than the smallest number with full precision.
    private const float LeastExponent = -87f;
    private const int ExponentBias = 127;
    private const int MantissaBits = 23;

    /// <summary>The next multiple of the vectors' width.</summary>
    public static int RoundUp(int count) => (count + Width - 1) & -Width;

    /// <summary>e^x for x up to 0, with a relative error of about 1e-7; exactly 0 where that is less than e^-87, negative infinity included.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Exp(Vector512<float> x)
    {
        // x = n ln 2 + r, with ln 2 in two parts so that r is exact, and the exponential of r as a polynomial.
        var n = Vector512.Round(x * Vector512.Create(1.44269504f));
        var r = Vector512.FusedMultiplyAdd(n, Vector512.Create(-0.693359375f), x);
        r = Vector512.FusedMultiplyAdd(n, Vector512.Create(2.12194440e-4f), r);
        var p = Vector512.FusedMultiplyAdd(Vector512.Create(1.9875691500e-4f), r, Vector512.Create(1.3981999507e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(8.3334519073e-3f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(4.1665795894e-2f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(1.6666665459e-1f));
        p = Vector512.FusedMultiplyAdd(p, r, Vector512.Create(5.0000001201e-1f));
        p = Vector512.FusedMultiplyAdd(p, r * r, r + Vector512<float>.One);
        var power = Vector512.ShiftLeft(Vector512.ConvertToInt32Native(n) + Vector512.Create(ExponentBias), MantissaBits).AsSingle();
        return Vector512.ConditionalSelect(Vector512.LessThan(x, Vector512.Create(LeastExponent)), Vector512<float>.Zero, p * power);
    }

    /// <summary>The sums of eight vectors, each in the same order of additions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Sums(
        Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d,
        Vector512<float> e, Vector512<float> f, Vector512<float> g, Vector512<float> h)
    {
        if (!Avx.IsSupported)
        {
            return Vector256.Create(
                Vector512.Sum(a), Vector512.Sum(b), Vector512.Sum(c), Vector512.Sum(d), Vector512.Sum(e), Vector512.Sum(f), Vector512.Sum(g), Vector512.Sum(h));
        }

        var abcd = Avx.HorizontalAdd(Avx.HorizontalAdd(Half(a), Half(b)), Avx.HorizontalAdd(Half(c), Half(d)));
        var efgh = Avx.HorizontalAdd(Avx.HorizontalAdd(Half(e), Half(f)), Avx.HorizontalAdd(Half(g), Half(h)));
        return Vector256.Create(abcd.GetLower() + abcd.GetUpper(), efgh.GetLower() + efgh.GetUpper());
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
        var begin = first & -Width;
        var limit = RoundUp(end);
        for (var i = begin; i < first; i++)
            scores[i] = float.NegativeInfinity;
        for (var i = end; i < limit; i++)
            scores[i] = float.NegativeInfinity;

        var most = Vector512.Load(scores + begin);
        for (var i = begin + Width; i < limit; i += Width)
            most = Vector512.MaxNative(most, Vector512.Load(scores + i));
        var half = Vector256.MaxNative(most.GetLower(), most.GetUpper());
        var quarter = Vector128.MaxNative(half.GetLower(), half.GetUpper());
        var largest = Vector512.Create(MathF.Max(MathF.Max(quarter[0], quarter[1]), MathF.Max(quarter[2], quarter[3])));

        var sum = Vector512<float>.Zero;
        for (var i = begin; i < limit; i += Width)
        {
            var weight = Exp(Vector512.Load(scores + i) - largest);
            weight.Store(scores + i);
            sum += weight;
        }

        return 1 / Vector512.Sum(sum);
    }

    /// <summary>Rotary embedding of one head: element i turns with element i + half; what is beyond both halves stays.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rotate(float* source, float* target, float* cosines, float* sines, int half, int size)
    {
        var i = 0;
        for (; i + Width <= half; i += Width)
        {
            var (x, y) = (Vector512.Load(source + i), Vector512.Load(source + half + i));
            var (cos, sin) = (Vector512.Load(cosines + i), Vector512.Load(sines + i));
            ((x * cos) - (y * sin)).Store(target + i);
            ((y * cos) + (x * sin)).Store(target + half + i);
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Half(Vector512<float> values) => values.GetLower() + values.GetUpper();
}
