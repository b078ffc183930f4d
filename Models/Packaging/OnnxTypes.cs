namespace Tessera.Models.Packaging;

/// <summary>Element types of ONNX tensors by their number.</summary>
internal static class OnnxTypes
{
    /// <summary>float32.</summary>
    public const int Float = 1;

    /// <summary>int8.</summary>
    public const int Int8 = 3;

    /// <summary>float16.</summary>
    public const int Float16 = 10;

    /// <summary>bfloat16.</summary>
    public const int BFloat16 = 16;

    /// <summary>int32.</summary>
    public const int Int32 = 6;

    /// <summary>int64.</summary>
    public const int Int64 = 7;

    /// <summary>Bytes of <paramref name="elements"/> elements; null for types without a fixed size.</summary>
    /// <exception cref="OverflowException">More than 64 bits can count.</exception>
    public static long? BytesOf(int type, long elements) => type switch
    {
        2 or 3 or 9 or 17 or 18 or 19 or 20 or 24 => elements,
        4 or 5 or 10 or 16 => checked(elements * 2),
        Float or Int32 or 12 => checked(elements * 4),
        Int64 or 11 or 13 or 14 => checked(elements * 8),
        15 => checked(elements * 16),
        // Two elements of 4 bits share a byte.
        21 or 22 or 23 => checked(elements + 1) / 2,
        _ => null,
    };

    /// <summary>Type of keys and values that a manifest calls <paramref name="kv"/>.</summary>
    public static int OfKv(string kv) => kv switch
    {
        "f16" => Float16,
        "bf16" => BFloat16,
        "int8" => Int8,
        _ => Float,
    };

    /// <summary>Name of a type in errors.</summary>
    public static string NameOf(int type) => type switch
    {
        Float => "float32",
        Int8 => "int8",
        Float16 => "float16",
        BFloat16 => "bfloat16",
        Int32 => "int32",
        Int64 => "int64",
        _ => $"element type {type}",
    };
}
