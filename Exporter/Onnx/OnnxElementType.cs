namespace Tessera.Exporter.Onnx;

/// <summary>The element types of ONNX that our graphs use, with their numbers in the format.</summary>
internal enum OnnxElementType
{
    /// <summary>Single precision.</summary>
    Float = 1,

    /// <summary>32-bit integer.</summary>
    Int32 = 6,

    /// <summary>64-bit integer.</summary>
    Int64 = 7,

    /// <summary>Truth value.</summary>
    Bool = 9,
}
