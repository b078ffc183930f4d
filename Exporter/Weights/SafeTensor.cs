namespace Tessera.Exporter.Weights;

/// <summary>One tensor of a safetensors file, as its checked header describes it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Type of its elements.</param>
/// <param name="Shape">Its dimensions; empty for a scalar.</param>
/// <param name="Offset">First byte, counted from the start of the file.</param>
/// <param name="ByteCount">Its size; always product(shape) elements.</param>
internal sealed record SafeTensor(string Name, TensorElementType Type, IReadOnlyList<long> Shape, long Offset, long ByteCount)
{
    /// <summary>Number of elements.</summary>
    public long ElementCount => ByteCount / Type.ByteSize();

    /// <summary>The shape as people write it, for example <c>[4, 8]</c>.</summary>
    public static string Format(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";
}
