using System.Text.Json;

namespace Tessera.Exporter.Weights;

/// <summary>
/// Reads the JSON header of a safetensors file and checks that its tensors fill the data exactly: no overlap, no hole, nothing past the end.
/// </summary>
internal static class SafeTensorsHeader
{
    /// <summary>Longest header that the format allows.</summary>
    public const long MaxBytes = 100_000_000;

    private const string MetadataKey = "__metadata__";
    private const int MaxRank = 16;

    /// <summary>Parses a header.</summary>
    /// <param name="file">File name for errors.</param>
    /// <param name="header">The JSON bytes.</param>
    /// <param name="dataStart">Where the data begins, counted from the start of the file.</param>
    /// <param name="dataBytes">Size of the data.</param>
    /// <exception cref="ExportException">Names the file and the tensor.</exception>
    public static Dictionary<string, SafeTensor> Parse(string file, ReadOnlyMemory<byte> header, long dataStart, long dataBytes)
    {
        var tensors = new Dictionary<string, SafeTensor>(StringComparer.Ordinal);
        try
        {
            using var json = JsonDocument.Parse(header, new JsonDocumentOptions { MaxDepth = 8 });
            if (json.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw new ExportException(file, "header", "a JSON object", $"a JSON {json.RootElement.ValueKind}");
            }

            foreach (var property in json.RootElement.EnumerateObject())
            {
                if (property.NameEquals(MetadataKey))
                {
                    continue;
                }

                var tensor = ParseTensor(file, property.Name, property.Value, dataStart, dataBytes);
                if (!tensors.TryAdd(tensor.Name, tensor))
                {
                    throw new ExportException(file, tensor.Name, "one entry in the header", "two");
                }
            }
        }
        catch (JsonException exception)
        {
            throw new ExportException(file, "header", "JSON", $"an error at byte {exception.BytePositionInLine ?? 0}", exception);
        }
        catch (InvalidOperationException exception)
        {
            // The JSON reader finds escapes that are no Unicode text only when a string is taken out.
            throw new ExportException(file, "header", "JSON strings of Unicode text", "a lone surrogate", exception);
        }

        CheckLayout(file, tensors.Values, dataStart, dataBytes);
        return tensors;
    }

    private static SafeTensor ParseTensor(string file, string name, JsonElement entry, long dataStart, long dataBytes)
    {
        if (entry.ValueKind != JsonValueKind.Object)
        {
            throw new ExportException(file, name, "an object with dtype, shape and data_offsets", $"a JSON {entry.ValueKind}");
        }

        var dtype = entry.TryGetProperty("dtype", out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        if (!TensorElementTypes.TryParse(dtype, out var type))
        {
            throw new ExportException(file, $"{name}.dtype", string.Join(", ", Enum.GetNames<TensorElementType>()), dtype ?? "nothing");
        }

        var shape = Numbers(file, name, entry, "shape");
        var offsets = Numbers(file, name, entry, "data_offsets");
        if (shape.Length > MaxRank)
        {
            throw new ExportException(file, $"{name}.shape", $"at most {MaxRank} dimensions", $"{shape.Length}");
        }

        if (offsets.Length != 2 || offsets[0] > offsets[1] || offsets[1] > dataBytes)
        {
            throw new ExportException(file, $"{name}.data_offsets", $"[begin, end] within {dataBytes} bytes of data", SafeTensor.Format(offsets));
        }

        var bytes = offsets[1] - offsets[0];
        var expected = ByteCountOf(shape, type);
        if (expected != bytes)
        {
            throw new ExportException(
                file, $"{name}.data_offsets", $"the bytes of {type} {SafeTensor.Format(shape)} ({expected?.ToString() ?? "too many"})", $"{bytes}");
        }

        return new SafeTensor(name, type, shape, dataStart + offsets[0], bytes);
    }

    private static long[] Numbers(string file, string name, JsonElement entry, string key)
    {
        if (!entry.TryGetProperty(key, out var value) || value.ValueKind != JsonValueKind.Array)
        {
            var found = value.ValueKind == JsonValueKind.Undefined ? "nothing" : $"a JSON {value.ValueKind}";
            throw new ExportException(file, $"{name}.{key}", "an array of whole numbers", found);
        }

        var numbers = new List<long>();
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out var number) || number < 0)
            {
                throw new ExportException(file, $"{name}.{key}[{numbers.Count}]", "a whole number from 0", $"a JSON {item.ValueKind}");
            }

            numbers.Add(number);
        }

        return [.. numbers];
    }

    /// <summary>Bytes of a tensor; null when they do not fit in 63 bits.</summary>
    private static long? ByteCountOf(long[] shape, TensorElementType type)
    {
        if (Array.IndexOf(shape, 0) >= 0)
        {
            return 0;
        }

        UInt128 bytes = (uint)type.ByteSize();
        foreach (var dimension in shape)
        {
            bytes *= (ulong)dimension;
            if (bytes > long.MaxValue)
            {
                return null;
            }
        }

        return (long)bytes;
    }

    private static void CheckLayout(string file, IEnumerable<SafeTensor> tensors, long dataStart, long dataBytes)
    {
        var end = dataStart;
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.ByteCount))
        {
            if (tensor.Offset != end)
            {
                throw new ExportException(
                    file,
                    $"{tensor.Name}.data_offsets",
                    $"data from byte {end - dataStart} on, where the tensor before ends",
                    $"byte {tensor.Offset - dataStart}");
            }

            end += tensor.ByteCount;
        }

        if (end != dataStart + dataBytes)
        {
            throw new ExportException(file, "length", $"{end - dataStart} bytes of data, as the header says", $"{dataBytes}");
        }
    }
}
