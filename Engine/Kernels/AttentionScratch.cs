namespace Tessera.Engine.Kernels;

/// <summary>Memory of a thread that kernels need within one call; it grows to the largest call and stays.</summary>
internal static unsafe class AttentionScratch
{
    [ThreadStatic]
    private static float[]? _scores;

    [ThreadStatic]
    private static float[]? _keys;

    [ThreadStatic]
    private static float[]? _values;

    /// <summary>Room for scores.</summary>
    public static float* Scores(int count) => Grow(ref _scores, count);

    /// <summary>Room for keys in another order.</summary>
    public static float* Keys(int count) => Grow(ref _keys, count);

    /// <summary>Room for values without their scales.</summary>
    public static float* Values(int count) => Grow(ref _values, count);

    private static float* Grow(ref float[]? memory, int count)
    {
        if (memory is null || memory.Length < count)
            memory = GC.AllocateUninitializedArray<float>(Math.Max(count, 2 * (memory?.Length ?? 0)), pinned: true);
        return (float*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref memory[0]);
    }
}
