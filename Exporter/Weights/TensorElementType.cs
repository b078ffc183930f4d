namespace Tessera.Exporter.Weights;

/// <summary>Element types that a safetensors file may hold.</summary>
internal enum TensorElementType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned, 8 bits.</summary>
    U8,

    /// <summary>Signed, 8 bits.</summary>
    I8,

    /// <summary>Unsigned, 16 bits.</summary>
    U16,

    /// <summary>Signed, 16 bits.</summary>
    I16,

    /// <summary>Unsigned, 32 bits.</summary>
    U32,

    /// <summary>Signed, 32 bits.</summary>
    I32,

    /// <summary>Unsigned, 64 bits.</summary>
    U64,

    /// <summary>Signed, 64 bits.</summary>
    I64,

    /// <summary>IEEE half precision.</summary>
    F16,

    /// <summary>The upper half of a single-precision number.</summary>
    BF16,

    /// <summary>IEEE single precision.</summary>
    F32,

    /// <summary>IEEE double precision.</summary>
    F64,
}

/// <summary>Names and sizes of the element types.</summary>
internal static class TensorElementTypes
{
    private static readonly Dictionary<string, TensorElementType> ByName =
        Enum.GetValues<TensorElementType>().ToDictionary(type => type.ToString().ToUpperInvariant(), StringComparer.Ordinal);

    /// <summary>The type that a header calls <paramref name="name"/>; false for one that this reader does not know.</summary>
    public static bool TryParse(string? name, out TensorElementType type)
    {
        type = default;
        return name is not null && ByName.TryGetValue(name, out type);
    }

    /// <summary>Bytes of one element.</summary>
    public static int ByteSize(this TensorElementType type) => type switch
    {
        TensorElementType.Bool or TensorElementType.U8 or TensorElementType.I8 => 1,
        TensorElementType.U16 or TensorElementType.I16 or TensorElementType.F16 or TensorElementType.BF16 => 2,
        TensorElementType.U32 or TensorElementType.I32 or TensorElementType.F32 => 4,
        _ => 8,
    };

    /// <summary>Whether elements are floating-point numbers.</summary>
    public static bool IsFloat(this TensorElementType type) =>
        type is TensorElementType.F16 or TensorElementType.BF16 or TensorElementType.F32 or TensorElementType.F64;
}
