using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Verification;
using Tessera.Models;

namespace Tessera.Exporter.Packaging;

/// <summary>Sequences that show which range a model's keys and values have.</summary>
internal static class CalibrationText
{
    private const int MaxLines = 256;
    private const long MaxBytes = 16 << 20;

    /// <summary>Reads them.</summary>
    /// <param name="checkpoint">Folder whose reference.safetensors is taken when no file is given.</param>
    /// <param name="file">Text, one sequence per line; null for none.</param>
    /// <param name="tokenizer">tokenizer.json.</param>
    /// <param name="config">Bounds ids and lengths.</param>
    /// <exception cref="ExportException">There is nothing to read.</exception>
    public static IReadOnlyList<int[]> Read(string checkpoint, string? file, string tokenizer, CheckpointConfig config)
    {
        if (file is null)
        {
            return ReadReference(Path.Combine(checkpoint, ReferenceFile.FileName), config);
        }

        var name = Path.GetFileName(file);
        if (!File.Exists(file))
        {
            throw new ExportException(name, "--calibration", "a text file", "nothing");
        }

        if (new FileInfo(file).Length > MaxBytes)
        {
            throw new ExportException(name, "--calibration", $"at most {MaxBytes} bytes", $"{new FileInfo(file).Length}");
        }

        var words = Tokenizer.Load(tokenizer);
        var sequences = File.ReadLines(file).Take(MaxLines)
            .Select(line => words.Encode(line, allowSpecial: true))
            .Where(ids => ids.Length > 0)
            .Select(ids => ids.Length <= config.MaxPositions ? ids : ids[..config.MaxPositions])
            .ToList();
        return sequences.Count > 0 ? sequences : throw new ExportException(name, "--calibration", "at least one line of text", "none");
    }

    private static IReadOnlyList<int[]> ReadReference(string path, CheckpointConfig config)
    {
        if (!File.Exists(path))
        {
            throw new ExportException(
                "command line", "--kv", $"f32, or --calibration FILE: int8 needs text, or a {ReferenceFile.FileName} in the checkpoint", "int8 without either");
        }

        var reference = ReferenceFile.Read(path, config.VocabularySize, config.MaxPositions, 0, 0);
        return [.. reference.Cases.Select(example => example.Ids)];
    }
}
