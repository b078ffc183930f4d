using Tessera.Exporter.Onnx;
using Tessera.Models;

namespace Tessera.Exporter.Graphs;

/// <summary>In which number formats a decoder is written, and for which device.</summary>
/// <param name="Weights"><c>fp32</c>, <c>int8</c>, <c>w8a8</c>, <c>int4</c>, <c>fp16</c> or <c>bf16</c>.</param>
/// <param name="Kv"><c>f32</c>, <c>f16</c>, <c>int8</c> or <c>bf16</c>.</param>
/// <param name="Device"><c>cpu</c> or <c>cuda</c>.</param>
/// <param name="BlockSize">Weights that share a scale in int4 and int8; 0 = the precision's own: 32 for int4, 128 for int8.</param>
internal sealed record DecoderPrecision(string Weights, string Kv = "f32", string Device = "cpu", int BlockSize = 0)
{
    /// <summary>Exact: what training computes.</summary>
    public static readonly DecoderPrecision Fp32 = new("fp32");

    /// <summary>Weights that a device's graphs can have, the exact one first.</summary>
    public static IReadOnlyList<string> WeightsOf(string device) => device == "cuda" ? ["fp16", "bf16", "int4"] : ["fp32", "int8", "w8a8", "int4"];

    /// <summary>Keys and values that a device's graphs can have.</summary>
    public static IReadOnlyList<string> KvOf(string device, string weights) =>
        device != "cuda" ? ["f32", "f16", "int8"] : weights == "bf16" ? ["bf16"] : ["f16"];

    /// <summary>Type of everything between the layers.</summary>
    public OnnxElementType Activations =>
        Device != "cuda" ? OnnxElementType.Float : Weights == "bf16" ? OnnxElementType.BFloat16 : OnnxElementType.Float16;

    /// <summary>Type of keys and values as the graph's inputs have them while it is built; int8 comes in when the scales are known.</summary>
    public OnnxElementType KvElement => Kv switch
    {
        "f16" => OnnxElementType.Float16,
        "bf16" => OnnxElementType.BFloat16,
        _ => OnnxElementType.Float,
    };

    /// <summary>
    /// Whether everything between the layers keeps its axes, [B, S, ...], instead of one row per position, [M, ...]: to get them back takes nodes that compute
    /// shapes. The runtime places those on the processor, which a session on a GPU is told to refuse; on the processor they cost as much as a small product.
    /// The products of <c>w8a8</c> want rows.
    /// </summary>
    public bool KeepsAxes => Device == "cuda" || Weights != "w8a8";

    /// <summary>Weights that share a scale; 0 where each output has one.</summary>
    public int EffectiveBlockSize => Weights switch
    {
        "int4" => BlockSize > 0 ? BlockSize : 32,
        "int8" => BlockSize > 0 ? BlockSize : 128,
        _ => 0,
    };

    /// <summary>The same for the manifest.</summary>
    public Precision Describe() => new() { Weights = Weights, Kv = Kv, Device = Device, BlockSize = EffectiveBlockSize };

    /// <summary>Checks what a user asked for, and fills in the keys' and values' type that goes with it.</summary>
    /// <exception cref="ExportException">The combination is none that a kernel takes.</exception>
    public static DecoderPrecision Create(string weights, string? kv, string device, int blockSize)
    {
        Require(device is "cpu" or "cuda", "--device", "cpu or cuda", device);
        var all = WeightsOf(device);
        Require(all.Contains(weights), "--precision", $"{string.Join(", ", all)} for {device}", weights);
        var allKv = KvOf(device, weights);
        Require(kv is null || allKv.Contains(kv), "--kv", $"{string.Join(", ", allKv)} for {weights} on {device}", kv ?? "");
        Require(blockSize is 0 or 16 or 32 or 64 or 128 or 256, "--block-size", "16, 32, 64, 128 or 256", $"{blockSize}");
        Require(blockSize == 0 || weights is "int4" or "int8", "--block-size", $"none for {weights}", $"{blockSize}");
        return new DecoderPrecision(weights, kv ?? allKv[0], device, blockSize);
    }

    private static void Require(bool holds, string option, string expected, string found)
    {
        if (!holds)
        {
            throw new ExportException("command line", option, expected, found);
        }
    }
}
