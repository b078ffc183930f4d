using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Tessera.Engine.Kernels;

/// <summary>How keys and values lie in the cache.</summary>
internal unsafe interface ICacheElement
{
    /// <summary>Bytes of one element.</summary>
    static abstract int ByteCount { get; }

    /// <summary>16 elements as numbers, without their scales.</summary>
    static abstract Vector512<float> Load(void* cache, nint index);

    /// <summary>Writes 16 numbers that were divided by their scales.</summary>
    static abstract void Store(Vector512<float> values, void* cache, nint index);
}

/// <summary>Single precision.</summary>
internal readonly unsafe struct FloatElement : ICacheElement
{
    public static int ByteCount => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(void* cache, nint index) => Vector512.Load((float*)cache + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, void* cache, nint index) => values.Store((float*)cache + index);
}

/// <summary>8 bits with a sign.</summary>
internal readonly unsafe struct ByteElement : ICacheElement
{
    public static int ByteCount => sizeof(sbyte);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(void* cache, nint index)
    {
        var bytes = Vector128.Load((sbyte*)cache + index);
        if (Avx512F.IsSupported)
            return Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(bytes));
        var (low, high) = Vector128.Widen(bytes);
        var (a, b) = Vector128.Widen(low);
        var (c, d) = Vector128.Widen(high);
        return Vector512.ConvertToSingle(Vector512.Create(Vector256.Create(a, b), Vector256.Create(c, d)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<float> values, void* cache, nint index)
    {
        var rounded = Vector512.Round(Vector512.Clamp(values, Vector512.Create((float)sbyte.MinValue), Vector512.Create((float)sbyte.MaxValue)));
        var integers = Vector512.ConvertToInt32Native(rounded);
        if (Avx512F.IsSupported)
        {
            Avx512F.ConvertToVector128SByte(integers).Store((sbyte*)cache + index);
            return;
        }

        for (var i = 0; i < Vector512<int>.Count; i++)
            ((sbyte*)cache)[index + i] = (sbyte)integers.GetElement(i);
    }
}
