namespace Tessera.Exporter.Onnx;

/// <summary>The element types of ONNX that our graphs use, with their numbers in the format.</summary>
internal enum OnnxElementType
{
    /// <summary>Single precision.</summary>
    Float = 1,

    /// <summary>Unsigned, 8 bits.</summary>
    UInt8 = 2,

    /// <summary>Signed, 8 bits.</summary>
    Int8 = 3,

    /// <summary>32-bit integer.</summary>
    Int32 = 6,

    /// <summary>64-bit integer.</summary>
    Int64 = 7,

    /// <summary>Truth value.</summary>
    Bool = 9,

    /// <summary>IEEE half precision.</summary>
    Float16 = 10,

    /// <summary>The upper half of a single-precision number.</summary>
    BFloat16 = 16,
}

/// <summary>Sizes of the element types.</summary>
internal static class OnnxElementTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int ByteSize(this OnnxElementType type) => type switch
    {
        OnnxElementType.UInt8 or OnnxElementType.Int8 or OnnxElementType.Bool => 1,
        OnnxElementType.Float16 or OnnxElementType.BFloat16 => 2,
        OnnxElementType.Int64 => 8,
        _ => 4,
    };
}
