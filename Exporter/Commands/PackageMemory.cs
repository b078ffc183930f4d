using Tessera.Models;
using Tessera.Protos.Onnx;

namespace Tessera.Exporter.Commands;

/// <summary>What a package takes of a machine when it is served; worked out from its files, not measured.</summary>
/// <param name="WeightBytes">Bytes of the decoder's tensors; such that share their bytes count once.</param>
/// <param name="BytesPerToken">Bytes of weights that one decoded token reads: all but the tables that are only looked up.</param>
/// <param name="KvBytesPerPosition">Keys and values of one position over all layers.</param>
/// <param name="MaxPositions">Positions of one sequence.</param>
/// <param name="AvailableBytes">Memory that this process may use.</param>
internal sealed record PackageMemory(long WeightBytes, long BytesPerToken, long KvBytesPerPosition, int MaxPositions, long AvailableBytes)
{
    /// <summary>Bytes of one sequence of full length.</summary>
    public long KvBytesPerSequence => KvBytesPerPosition * MaxPositions;

    /// <summary>Sequences of full length that fit beside the weights; 0 when the weights alone do not.</summary>
    public long SequencesThatFit => Math.Max(0, (AvailableBytes - WeightBytes) / Math.Max(1, KvBytesPerSequence));

    /// <summary>Works it out.</summary>
    public static PackageMemory Of(ModelPackage package)
    {
        var graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(package.DecoderPath)).Graph;
        var tables = graph.Node.Where(node => node.OpType is "Gather" or "GatherBlockQuantized" && node.Input.Count > 1).Select(node => node.Input[0]).ToHashSet();
        var products = graph.Node.Where(node => node.OpType is not ("Gather" or "GatherBlockQuantized")).SelectMany(node => node.Input).ToHashSet();
        var all = new Dictionary<string, long>(StringComparer.Ordinal);
        var read = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var tensor in graph.Initializer)
        {
            var (place, bytes) = PlaceOf(tensor);
            all[place] = bytes;
            if (!tensor.Name.StartsWith("rotary.", StringComparison.Ordinal) && (products.Contains(tensor.Name) || !tables.Contains(tensor.Name)))
            {
                read[place] = bytes;
            }
        }

        var architecture = package.Manifest.Architecture;
        return new PackageMemory(
            all.Values.Sum(),
            read.Values.Sum(),
            2L * architecture.LayerCount * architecture.KvHeadCount * architecture.HeadDim * ElementBytes(package.Manifest.Precision.Kv),
            architecture.MaxPositions,
            GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
    }

    private static (string Place, long Bytes) PlaceOf(TensorProto tensor)
    {
        if (tensor.DataLocation != TensorProto.Types.DataLocation.External)
        {
            return (tensor.Name, tensor.RawData.Length);
        }

        var entries = tensor.ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
        return ($"{entries["location"]}@{entries["offset"]}", long.Parse(entries["length"], System.Globalization.CultureInfo.InvariantCulture));
    }

    private static int ElementBytes(string kv) => kv switch
    {
        "int8" => 1,
        "f16" or "bf16" => 2,
        _ => 4,
    };
}
