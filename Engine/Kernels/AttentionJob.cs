using System.Runtime.CompilerServices;

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

    /// <summary>Scratch for prompts: keys [row, kvHead, PackedLength / width, element, width].</summary>
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

    /// <summary>Whether the kernels use vectors of 512 bits; else of 256.</summary>
    public bool IsWide;

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

    /// <summary>Scales of a head's keys: [element]; null for a cache without.</summary>
    public readonly float* KeyScalesOf(int kvHead) => KeyScales == null ? null : KeyScales + ((nint)kvHead * HeadSize);

    /// <summary>Scales of a head's values: [element]; null for a cache without.</summary>
    public readonly float* ValueScalesOf(int kvHead) => ValueScales == null ? null : ValueScales + ((nint)kvHead * HeadSize);

    /// <summary>A query, turned and scaled.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void ReadQuery<TWidth, TVector>(int row, int index, int head, int position, float* target)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct
    {
        var source = Queries + ((((nint)row * Positions) + index) * QueryStride) + ((nint)head * HeadSize);
        Turn<TWidth, TVector>(source, position, target);
        var scale = TWidth.Create(Scale);
        for (var i = 0; i < HeadSize; i += TWidth.Count)
            TWidth.Store(TWidth.Multiply(TWidth.Load(target + i), scale), target + i);
    }

    /// <summary>Writes a new key, turned, and a new value into the cache.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Append<TWidth, TVector, TElement>(int row, int index, int kvHead, int position)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct
        where TElement : struct, ICacheElement
    {
        var offset = ((((nint)row * Positions) + index) * KeyStride) + ((nint)kvHead * HeadSize);
        var target = CacheIndex(row, kvHead) + ((nint)position * HeadSize);
        var turned = stackalloc float[MaxHeadSize];
        Turn<TWidth, TVector>(Keys + offset, position, turned);
        Write<TWidth, TVector, TElement>(turned, KeyScalesOf(kvHead), KeyCache, target);
        Write<TWidth, TVector, TElement>(Values + offset, ValueScalesOf(kvHead), ValueCache, target);
    }

    private readonly void Write<TWidth, TVector, TElement>(float* source, float* scales, void* cache, nint target)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct
        where TElement : struct, ICacheElement
    {
        for (var i = 0; i < HeadSize; i += TWidth.Count)
        {
            var values = TWidth.Load(source + i);
            if (scales != null)
                values = TWidth.Divide(values, TWidth.Load(scales + i));
            TElement.Store<TWidth, TVector>(values, cache, target + i);
        }
    }

    private readonly void Turn<TWidth, TVector>(float* source, int position, float* target)
        where TWidth : struct, IVectorWidth<TVector>
        where TVector : struct
    {
        var half = Cosines == null ? 0 : RotaryHalf;
        VectorMath<TWidth, TVector>.Rotate(source, target, Cosines + ((nint)position * half), Sines + ((nint)position * half), half, HeadSize);
    }
}
