using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Onnx;

namespace Tessera.Exporter.Packaging;

/// <summary>Finds out before anything is written whether it has room.</summary>
internal static class DiskSpace
{
    /// <summary>Checks that the file system of a folder has room.</summary>
    /// <exception cref="ExportException">It has not.</exception>
    public static void Require(string folder, long bytes)
    {
        var free = FreeBytes(folder);
        if (free < bytes)
        {
            throw new ExportException(folder, "free space", $"about {bytes / 1e6:0} MB", $"{free / 1e6:0} MB");
        }
    }

    /// <summary>About what a decoder takes, data only.</summary>
    public static long DecoderBytes(CheckpointConfig config, DecoderPrecision precision)
    {
        var bits = precision.Weights switch
        {
            "int4" => 4 + (32.0 / precision.EffectiveBlockSize),
            "int8" => 8 + (32.0 / precision.EffectiveBlockSize),
            "w8a8" => 8,
            "fp32" => 32,
            _ => 16,
        };
        var parameters = (double)config.ParameterCount + (precision.Weights == "w8a8" && config.TiedHead ? (double)config.VocabularySize * config.HiddenSize : 0);
        var tables = (double)config.MaxPositions * config.HeadDim * precision.Activations.ByteSize();
        return (long)Math.Min(long.MaxValue / 2, (parameters * bits / 8) + tables);
    }

    private static long FreeBytes(string folder)
    {
        try
        {
            return new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            // A file system that does not say is one that writing will tell about.
            return long.MaxValue;
        }
    }
}
