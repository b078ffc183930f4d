using System.Globalization;
using Spectre.Console;
using Tessera.Models;

namespace Tessera.Exporter.Commands;

/// <summary>Shows a manifest.</summary>
internal static class PackageTables
{
    /// <summary>What the model is.</summary>
    public static void WriteShape(IAnsiConsole console, Manifest manifest)
    {
        var shape = manifest.Architecture;
        var table = NewTable("", "");
        table.HideHeaders();
        Row(table, "Name", $"{manifest.Name} {manifest.Version}");
        Row(table, "Licence", manifest.License);
        Row(table, "Description", manifest.Description);
        Row(table, "Family", $"{shape.Family}, {shape.LayerCount} layers, hidden {shape.HiddenSize}");
        Row(table, "Attention", $"{shape.HeadCount} heads ({shape.KvHeadCount} key/value) x {shape.HeadDim}, rotary base {shape.RopeTheta}");
        Row(table, "N-gram embeddings", shape.NgramEmbeddings);
        Row(table, "Positions", shape.MaxPositions);
        Row(table, "Precision", $"weights {manifest.Precision.Weights}, keys and values {manifest.Precision.Kv}");
        Row(table, "Vocabulary", $"{shape.VocabularySize}: {manifest.Latents.Count} latents from {manifest.Latents.FirstId} on");
        Row(table, "Text tokens per latent", manifest.Latents.TextTokensPerLatent);
        Row(table, "Codebook", manifest.Codebook is { } codebook ? $"{codebook.ChunkTokens} tokens per chunk, at most {codebook.MaxCodes} codes" : "none");
        console.Write(table);
    }

    /// <summary>What was measured.</summary>
    public static void WriteEvaluation(IAnsiConsole console, Manifest manifest)
    {
        var table = NewTable("Task", "Mode", "n", "Accuracy", "95 % interval", "Mean tokens");
        foreach (var row in manifest.Evaluation)
        {
            Row(table, row.Task, row.Mode, row.N, Percent(row.Accuracy), $"{Percent(row.Low)} to {Percent(row.High)}", row.MeanTokens);
        }

        console.Write(table);
    }

    /// <summary>Files with sizes and hashes.</summary>
    public static void WriteFiles(IAnsiConsole console, Manifest manifest)
    {
        var table = NewTable("File", "Bytes", "SHA-256");
        foreach (var file in manifest.Files)
        {
            Row(table, file.Path, file.Bytes.ToString("N0", CultureInfo.InvariantCulture), file.Sha256[..12] + "...");
        }

        console.Write(table);
    }

    private static Table NewTable(params string[] columns) => new Table().Border(TableBorder.Minimal).AddColumns(columns);

    private static void Row(Table table, params object[] cells) =>
        table.AddRow([.. cells.Select(cell => new Text(Convert.ToString(cell, CultureInfo.InvariantCulture) ?? ""))]);

    private static string Percent(double fraction) => fraction.ToString("P1", CultureInfo.InvariantCulture);
}
