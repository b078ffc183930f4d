using System.Runtime.CompilerServices;

namespace Tessera.Engine.Runtime;

/// <summary>Element types of tensors that Tessera uses, as the C API numbers them.</summary>
public enum OrtElementType
{
    /// <summary>Not a tensor, or a type that Tessera does not use.</summary>
    Undefined = 0,

    /// <summary>32-bit floating point.</summary>
    F32 = 1,

    /// <summary>8-bit unsigned integer.</summary>
    U8 = 2,

    /// <summary>8-bit signed integer.</summary>
    I8 = 3,

    /// <summary>32-bit signed integer.</summary>
    I32 = 6,

    /// <summary>64-bit signed integer.</summary>
    I64 = 7,

    /// <summary>16-bit floating point.</summary>
    F16 = 10,

    /// <summary>The upper half of a 32-bit floating point number.</summary>
    BF16 = 16,
}

/// <summary>A tensor of the runtime.</summary>
public sealed unsafe class OrtValue : OrtHandle
{
    internal OrtValue(nint handle)
        : base(handle, OrtFunction.ReleaseValue)
    {
    }

    /// <summary>A tensor over memory of the caller, who keeps it until the tensor and every binding that holds it are disposed.</summary>
    /// <param name="data">First element.</param>
    /// <param name="shape">Elements per axis.</param>
    /// <param name="type">Type of the elements.</param>
    public static OrtValue FromMemory(nint data, ReadOnlySpan<long> shape, OrtElementType type) => FromMemory(data, shape, type, OrtEnvironment.CpuMemory);

    /// <summary>The same over memory of a device.</summary>
    internal static OrtValue FromMemory(nint data, ReadOnlySpan<long> shape, OrtElementType type, OrtMemoryInfo where)
    {
        var bytes = checked((nuint)(ElementCount(shape) * SizeOf(type)));
        using var memory = new OrtLease(where);
        fixed (long* axes = shape)
        {
            return new OrtValue(OrtApi.Get(
                OrtFunction.CreateTensorWithDataAsOrtValue, memory.Pointer, (void*)data, bytes, axes, (nuint)shape.Length, (int)type));
        }
    }

    /// <summary>A tensor with memory of its own; its elements are not initialised.</summary>
    /// <param name="shape">Elements per axis.</param>
    /// <param name="type">Type of the elements.</param>
    public static OrtValue Allocate(ReadOnlySpan<long> shape, OrtElementType type)
    {
        _ = ElementCount(shape);
        fixed (long* axes = shape)
        {
            return new OrtValue(OrtApi.Get(
                OrtFunction.CreateTensorAsOrtValue, OrtEnvironment.DefaultAllocator, axes, (nuint)shape.Length, (int)type));
        }
    }

    /// <summary>A tensor with a copy of the given elements.</summary>
    /// <param name="elements">Elements, last axis fastest.</param>
    /// <param name="shape">Elements per axis.</param>
    public static OrtValue From<T>(ReadOnlySpan<T> elements, params ReadOnlySpan<long> shape)
        where T : unmanaged
    {
        if (ElementCount(shape) != elements.Length)
            throw new ArgumentException($"expected {ElementCount(shape)} elements for the shape, found {elements.Length}", nameof(elements));
        var value = Allocate(shape, TypeOf<T>());
        elements.CopyTo(value.Elements<T>());
        return value;
    }

    /// <summary>Address of the first element.</summary>
    public nint Data
    {
        get
        {
            using var lease = new OrtLease(this);
            return OrtApi.Get(OrtFunction.GetTensorMutableData, lease.Pointer);
        }
    }

    /// <summary>Elements per axis.</summary>
    public long[] Shape => Describe().Shape;

    /// <summary>The elements, last axis fastest; valid until the tensor is disposed.</summary>
    /// <exception cref="InvalidOperationException">The tensor has another element type.</exception>
    public Span<T> Elements<T>()
        where T : unmanaged
    {
        var (type, shape) = Describe();
        if (type != TypeOf<T>())
            throw new InvalidOperationException($"expected a tensor of {TypeOf<T>()}, found {type}");
        return new Span<T>((void*)Data, checked((int)ElementCount(shape)));
    }

    /// <summary>Bytes of one element.</summary>
    internal static int SizeOf(OrtElementType type) => type switch
    {
        OrtElementType.F32 or OrtElementType.I32 => 4,
        OrtElementType.I64 => 8,
        OrtElementType.F16 or OrtElementType.BF16 => 2,
        OrtElementType.U8 or OrtElementType.I8 => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not an element type that Tessera uses"),
    };

    private static OrtElementType TypeOf<T>()
        where T : unmanaged =>
        typeof(T) == typeof(float) ? OrtElementType.F32
        : typeof(T) == typeof(long) ? OrtElementType.I64
        : typeof(T) == typeof(int) ? OrtElementType.I32
        : typeof(T) == typeof(byte) ? OrtElementType.U8
        : typeof(T) == typeof(sbyte) ? OrtElementType.I8
        : throw new NotSupportedException($"no tensor element type for {typeof(T).Name}");

    private static long ElementCount(ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (var axis in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(axis, nameof(shape));
            count = checked(count * axis);
        }

        return count;
    }

    private (OrtElementType Type, long[] Shape) Describe()
    {
        using var lease = new OrtLease(this);
        using var description = new OrtTensorDescription(OrtApi.Get(OrtFunction.GetTensorTypeAndShape, lease.Pointer));
        return description.Read();
    }
}
