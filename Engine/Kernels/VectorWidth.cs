using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Engine.Kernels;

/// <summary>
/// What the kernels do with vectors of one width. They are written once, for any width: a width is a type parameter, and the JIT compiles them for each.
/// </summary>
/// <typeparam name="TVector">A vector of numbers in single precision.</typeparam>
internal unsafe interface IVectorWidth<TVector>
    where TVector : struct
{
    /// <summary>Numbers of a vector.</summary>
    static abstract int Count { get; }

    /// <summary>Whether there are registers for 16 sums and what is added to them (AVX-512 has 32, AVX2 has 16); else for 8.</summary>
    static abstract bool HoldsSixteenSums { get; }

    static abstract TVector Create(float value);

    static abstract TVector Load(float* source);

    /// <summary>Signed bytes as numbers.</summary>
    static abstract TVector Load(sbyte* source);

    static abstract void Store(TVector values, float* target);

    /// <summary>Rounds to the nearest signed bytes.</summary>
    static abstract void Store(TVector values, sbyte* target);

    static abstract TVector Add(TVector left, TVector right);

    static abstract TVector Subtract(TVector left, TVector right);

    static abstract TVector Multiply(TVector left, TVector right);

    static abstract TVector Divide(TVector left, TVector right);

    /// <summary>left * right + addend, rounded once.</summary>
    static abstract TVector MultiplyAdd(TVector left, TVector right, TVector addend);

    static abstract TVector Max(TVector left, TVector right);

    static abstract TVector Round(TVector values);

    /// <summary>2 to the power of whole numbers that a number's exponent has room for.</summary>
    static abstract TVector PowerOfTwo(TVector exponents);

    /// <summary>Zero where a number is below a limit, else the chosen number.</summary>
    static abstract TVector ZeroBelow(TVector numbers, float limit, TVector chosen);

    static abstract float Sum(TVector values);

    static abstract float Largest(TVector values);

    /// <summary>The sums of eight vectors, each in the same order of additions, to eight numbers.</summary>
    static abstract void StoreSums(
        TVector a, TVector b, TVector c, TVector d, TVector e, TVector f, TVector g, TVector h, float* target);
}

/// <summary>Vectors of 16 numbers: AVX-512.</summary>
internal readonly unsafe struct Width512 : IVectorWidth<Vector512<float>>
{
    public static int Count => 16;

    public static bool HoldsSixteenSums => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Create(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(sbyte* source)
    {
        var bytes = Vector128.Load(source);
        if (Avx512F.IsSupported)
            return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(bytes));
        var (low, high) = Vector128.Widen(bytes);
        var (a, b) = Vector128.Widen(low);
        var (c, d) = Vector128.Widen(high);
        return Vector512.ConvertToSingle(Vector512.Create(Vector256.Create(a, b), Vector256.Create(c, d)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, float* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, sbyte* target)
    {
        var rounded = Vector512.Round(Vector512.Clamp(values, Vector512.Create((float)sbyte.MinValue), Vector512.Create((float)sbyte.MaxValue)));
        var integers = Vector512.ConvertToInt32Native(rounded);
        if (Avx512F.IsSupported)
        {
            Avx512F.ConvertToVector128SByte(integers).Store(target);
            return;
        }

        for (var i = 0; i < Vector512<int>.Count; i++)
            target[i] = (sbyte)integers.GetElement(i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> left, Vector512<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Subtract(Vector512<float> left, Vector512<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> left, Vector512<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Divide(Vector512<float> left, Vector512<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> left, Vector512<float> right, Vector512<float> addend) => Vector512.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Max(Vector512<float> left, Vector512<float> right) => Vector512.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Round(Vector512<float> values) => Vector512.Round(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> PowerOfTwo(Vector512<float> exponents) =>
        Vector512.ShiftLeft(Vector512.ConvertToInt32Native(exponents) + Vector512.Create(VectorMath.ExponentBias), VectorMath.MantissaBits).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> ZeroBelow(Vector512<float> numbers, float limit, Vector512<float> chosen) =>
        Vector512.ConditionalSelect(Vector512.LessThan(numbers, Vector512.Create(limit)), Vector512<float>.Zero, chosen);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector512<float> values) => Vector512.Sum(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector512<float> values) => Width256.Largest(Vector256.MaxNative(values.GetLower(), values.GetUpper()));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreSums(
        Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d,
        Vector512<float> e, Vector512<float> f, Vector512<float> g, Vector512<float> h, float* target) =>
        Width256.StoreSums(Half(a), Half(b), Half(c), Half(d), Half(e), Half(f), Half(g), Half(h), target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Half(Vector512<float> values) => values.GetLower() + values.GetUpper();
}

/// <summary>Vectors of 8 numbers: AVX2 with FMA.</summary>
internal readonly unsafe struct Width256 : IVectorWidth<Vector256<float>>
{
    public static int Count => 8;

    public static bool HoldsSixteenSums => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Create(float value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(float* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(sbyte* source)
    {
        if (Avx2.IsSupported)
            return Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(source));
        var shorts = Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)source).AsSByte());
        return Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> values, float* target) => values.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<float> values, sbyte* target)
    {
        var rounded = Vector256.Round(Vector256.Clamp(values, Vector256.Create((float)sbyte.MinValue), Vector256.Create((float)sbyte.MaxValue)));
        var integers = Vector256.ConvertToInt32Native(rounded);
        var shorts = Vector128.Narrow(integers.GetLower(), integers.GetUpper());
        *(long*)target = Vector128.Narrow(shorts, shorts).AsInt64().ToScalar();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Add(Vector256<float> left, Vector256<float> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Subtract(Vector256<float> left, Vector256<float> right) => left - right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Multiply(Vector256<float> left, Vector256<float> right) => left * right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Divide(Vector256<float> left, Vector256<float> right) => left / right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> MultiplyAdd(Vector256<float> left, Vector256<float> right, Vector256<float> addend) => Vector256.FusedMultiplyAdd(left, right, addend);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Max(Vector256<float> left, Vector256<float> right) => Vector256.MaxNative(left, right);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Round(Vector256<float> values) => Vector256.Round(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> PowerOfTwo(Vector256<float> exponents) =>
        Vector256.ShiftLeft(Vector256.ConvertToInt32Native(exponents) + Vector256.Create(VectorMath.ExponentBias), VectorMath.MantissaBits).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> ZeroBelow(Vector256<float> numbers, float limit, Vector256<float> chosen) =>
        Vector256.ConditionalSelect(Vector256.LessThan(numbers, Vector256.Create(limit)), Vector256<float>.Zero, chosen);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Vector256<float> values) => Vector256.Sum(values);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Largest(Vector256<float> values)
    {
        var half = Vector128.MaxNative(values.GetLower(), values.GetUpper());
        return MathF.Max(MathF.Max(half[0], half[1]), MathF.Max(half[2], half[3]));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void StoreSums(
        Vector256<float> a, Vector256<float> b, Vector256<float> c, Vector256<float> d,
        Vector256<float> e, Vector256<float> f, Vector256<float> g, Vector256<float> h, float* target)
    {
        if (!Avx.IsSupported)
        {
            Vector256.Create(
                Vector256.Sum(a), Vector256.Sum(b), Vector256.Sum(c), Vector256.Sum(d), Vector256.Sum(e), Vector256.Sum(f), Vector256.Sum(g), Vector256.Sum(h)).Store(target);
            return;
        }

        var abcd = Avx.HorizontalAdd(Avx.HorizontalAdd(a, b), Avx.HorizontalAdd(c, d));
        var efgh = Avx.HorizontalAdd(Avx.HorizontalAdd(e, f), Avx.HorizontalAdd(g, h));
        Vector256.Create(abcd.GetLower() + abcd.GetUpper(), efgh.GetLower() + efgh.GetUpper()).Store(target);
    }
}
