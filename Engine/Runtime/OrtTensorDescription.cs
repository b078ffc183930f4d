namespace Tessera.Engine.Runtime;

/// <summary>A graph input or output.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Elements per axis; -1 = any.</param>
public sealed record OrtTensorSpec(string Name, OrtElementType Type, IReadOnlyList<long> Shape)
{
    /// <summary>Type and shape for people, for example <c>I64 [?, 16]</c>.</summary>
    public string Describe() => $"{Type} [{string.Join(", ", Shape.Select(axis => axis < 0 ? "?" : axis.ToString()))}]";
}

/// <summary>Native description of a tensor's type and shape.</summary>
internal sealed unsafe class OrtTensorDescription : OrtHandle
{
    public OrtTensorDescription(nint handle)
        : base(handle, OrtFunction.ReleaseTensorTypeAndShapeInfo)
    {
    }

    public (OrtElementType Type, long[] Shape) Read()
    {
        using var lease = new OrtLease(this);
        return Read(lease.Pointer);
    }

    /// <summary>Reads a description that belongs to another object.</summary>
    public static (OrtElementType Type, long[] Shape) Read(nint description)
    {
        var type = (OrtElementType)OrtApi.GetInt(OrtFunction.GetTensorElementType, description);
        var shape = new long[(int)OrtApi.Get(OrtFunction.GetDimensionsCount, description)];
        fixed (long* axes = shape)
            OrtApi.Call(OrtFunction.GetDimensions, description, axes, (nuint)shape.Length);
        return (Enum.IsDefined(type) ? type : OrtElementType.Undefined, shape);
    }
}

/// <summary>Native description of a graph input or output, which need not be a tensor.</summary>
internal sealed class OrtTypeDescription : OrtHandle
{
    public OrtTypeDescription(nint handle)
        : base(handle, OrtFunction.ReleaseTypeInfo)
    {
    }

    public (OrtElementType Type, long[] Shape) Read()
    {
        using var lease = new OrtLease(this);

        // Null for what is not a tensor; the result belongs to this object.
        var tensor = OrtApi.Get(OrtFunction.CastTypeInfoToTensorInfo, lease.Pointer);
        return tensor == 0 ? (OrtElementType.Undefined, []) : OrtTensorDescription.Read(tensor);
    }
}
