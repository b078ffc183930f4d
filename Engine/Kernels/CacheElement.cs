using System.Runtime.CompilerServices;

namespace Tessera.Engine.Kernels;

/// <summary>How keys and values lie in the cache.</summary>
internal unsafe interface ICacheElement
{
    /// <summary>Bytes of one element.</summary>
    static abstract int ByteCount { get; }

    /// <summary>A vector of elements as numbers, without their scales.</summary>
    static abstract TVector Load<TWidth, TVector>(void* cache, nint index)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct;

    /// <summary>Writes a vector of numbers that were divided by their scales.</summary>
    static abstract void Store<TWidth, TVector>(TVector values, void* cache, nint index)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct;
}

/// <summary>Single precision.</summary>
internal readonly unsafe struct FloatElement : ICacheElement
{
    public static int ByteCount => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TWidth, TVector>(void* cache, nint index)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct => TWidth.Load((float*)cache + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TWidth, TVector>(TVector values, void* cache, nint index)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct => TWidth.Store(values, (float*)cache + index);
}

/// <summary>8 bits with a sign.</summary>
internal readonly unsafe struct ByteElement : ICacheElement
{
    public static int ByteCount => sizeof(sbyte);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Load<TWidth, TVector>(void* cache, nint index)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct => TWidth.Load((sbyte*)cache + index);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<TWidth, TVector>(TVector values, void* cache, nint index)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct => TWidth.Store(values, (sbyte*)cache + index);
}
