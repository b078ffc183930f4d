using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Tessera.Engine.Kernels;

/// <summary>
/// One call of the attention: new positions of some rows against keys and values in the cache. Rows and positions of queries, keys and values are
/// [row, position, head, element]; the cache is [row, kvHead, position, element]. Plain memory, so that the runtime's threads can share it.
/// </summary>
[SkipLocalsInit]
internal unsafe struct AttentionJob
{
    /// <summary>Longest head that the kernels take.</summary>
    public const int MaxHeadSize = 256;

    public float* Queries;
    public float* Keys;
    public float* Values;

    /// <summary>Numbers from one position's queries to the next one's.</summary>
    public nint QueryStride;

    /// <summary>The same for keys and values.</summary>
    public nint KeyStride;

    public void* KeyCache;
    public void* ValueCache;

    /// <summary>[position, RotaryHalf]; null without a rotary embedding.</summary>
    public float* Cosines;
    public float* Sines;

    /// <summary>[kvHead, element]; null for a cache without scales.</summary>
    public float* KeyScales;
    public float* ValueScales;

    /// <summary>Per row: position of its last new key.</summary>
    public int* LastPositions;
    public float* Output;

    /// <summary>Scratch for prompts: keys [row, kvHead, PackedLength / 16, element, 16].</summary>
    public float* PackedKeys;

    /// <summary>Scratch for prompts on a cache with scales: values [row, kvHead, PackedLength, element].</summary>
    public float* PlainValues;

    public int Rows;
    public int Positions;
    public int Heads;
    public int KvHeads;
    public int HeadSize;
    public int RotaryHalf;
    public int Capacity;

    /// <summary>Positions that a query sees, its own included; 0 for all.</summary>
    public int Window;
    public int PackedLength;
    public float Scale;

    /// <summary>Whether rows begin at position 0 and may be padded on the right.</summary>
    public bool IsFirst;

    /// <summary>Positions of a row that are in the cache before this call.</summary>
    public readonly int PastOf(int row) => IsFirst ? 0 : LastPositions[row] + 1 - Positions;

    /// <summary>New positions of a row without its padding.</summary>
    public readonly int CountOf(int row) => IsFirst ? Math.Min(LastPositions[row] + 1, Positions) : Positions;

    /// <summary>First position that a query sees.</summary>
    public readonly int FirstSeen(int position) => Window > 0 ? Math.Max(0, position + 1 - Window) : 0;

    /// <summary>Index of the first element of a row's head in the cache.</summary>
    public readonly nint CacheIndex(int row, int kvHead) => (((nint)row * KvHeads) + kvHead) * Capacity * HeadSize;

    /// <summary>A query, turned and scaled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void ReadQuery(int row, int index, int head, int position, float* target)
    {
        var source = Queries + ((((nint)row * Positions) + index) * QueryStride) + ((nint)head * HeadSize);
        Turn(source, position, target);
        var scale = Vector512.Create(Scale);
        for (var i = 0; i < HeadSize; i += VectorMath.Width)
            (Vector512.Load(target + i) * scale).Store(target + i);
    }

    /// <summary>Writes a new key, turned, and a new value into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Append<T>(int row, int index, int kvHead, int position)
        where T : struct, ICacheElement
    {
        var offset = ((((nint)row * Positions) + index) * KeyStride) + ((nint)kvHead * HeadSize);
        var target = CacheIndex(row, kvHead) + ((nint)position * HeadSize);
        var turned = stackalloc float[MaxHeadSize];
        Turn(Keys + offset, position, turned);
        Write<T>(turned, KeyScales, kvHead, KeyCache, target);
        Write<T>(Values + offset, ValueScales, kvHead, ValueCache, target);
    }

    private readonly void Write<T>(float* source, float* scales, int kvHead, void* cache, nint target)
        where T : struct, ICacheElement
    {
        for (var i = 0; i < HeadSize; i += VectorMath.Width)
        {
            var values = Vector512.Load(source + i);
            if (scales != null)
                values /= Vector512.Load(scales + (kvHead * HeadSize) + i);
            T.Store(values, cache, target + i);
        }
    }

    private readonly void Turn(float* source, int position, float* target)
    {
        var half = Cosines == null ? 0 : RotaryHalf;
        VectorMath.Rotate(source, target, Cosines + ((nint)position * half), Sines + ((nint)position * half), half, HeadSize);
    }
}
