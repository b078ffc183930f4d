using System.Globalization;
using System.Text;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Models;

namespace Tessera.Exporter.Packaging;

/// <summary>Writes the package's README.md from what Training measured.</summary>
internal static class ModelCard
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "README.md";

    /// <summary>The card, the same text for the same model.</summary>
    public static string Write(CheckpointDescription description, Architecture architecture, DecoderPrecision precision, bool hasCodebook)
    {
        var card = new StringBuilder();
        card.Append($"# {description.Name} {description.Version}\n\n");
        if (description.Description.Length > 0)
        {
            card.Append(description.Description).Append("\n\n");
        }

        card.Append("Licence of the weights: ").Append(description.License).Append(".\n\n");
        WriteShape(card, description, architecture, precision, hasCodebook);
        WriteEvaluation(card, description.Evaluation);
        WriteLimits(card, description, architecture, precision);
        card.Append("## Use\n\n");
        card.Append("This folder is a Tessera model package: `tessera.json` describes it and lists every file with its SHA-256. ");
        card.Append("`tessera-export verify --package FOLDER` runs it against the logits that were recorded in training (`reference.safetensors`).\n");
        return card.ToString();
    }

    private static void WriteShape(
        StringBuilder card, CheckpointDescription description, Architecture architecture, DecoderPrecision precision, bool hasCodebook)
    {
        card.Append("## Shape\n\n| | |\n|---|---|\n");
        Row(card, "Family", architecture.Family);
        Row(card, "Layers", architecture.LayerCount);
        Row(card, "Hidden size", architecture.HiddenSize);
        Row(card, "Heads (key/value heads) x elements", $"{architecture.HeadCount} ({architecture.KvHeadCount}) x {architecture.HeadDim}");
        Row(card, "N-gram embeddings", architecture.NgramEmbeddings);
        Row(card, "Vocabulary", $"{architecture.VocabularySize}, of which {description.Latents.Count} latents");
        Row(card, "Positions", architecture.MaxPositions);
        Row(card, "Weights; keys and values", $"{precision.Weights}; {precision.Kv}");
        Row(card, "Text tokens that one latent replaces (mean)", Number(description.Latents.TextTokensPerLatent, "0.##"));
        Row(card, "Codebook graphs", hasCodebook ? "yes" : "no");
        card.Append('\n');
    }

    private static void WriteEvaluation(StringBuilder card, IReadOnlyList<EvaluationRow> rows)
    {
        card.Append("## Evaluation\n\n");
        if (rows.Count == 0)
        {
            card.Append("Nothing was measured.\n\n");
            return;
        }

        card.Append("| Task | Mode | n | Accuracy | 95 % interval | Mean generated tokens | Note |\n|---|---|---:|---:|---|---:|---|\n");
        foreach (var row in rows)
        {
            card.Append($"| {Cell(row.Task)} | {Cell(row.Mode)} | {row.N} | {Percent(row.Accuracy)} | {Percent(row.Low)} to {Percent(row.High)} | ");
            card.Append($"{(row.MeanTokens > 0 ? Number(row.MeanTokens, "0.0") : "")} | {Cell(row.Note)} |\n");
        }

        card.Append('\n');
    }

    private static void WriteLimits(StringBuilder card, CheckpointDescription description, Architecture architecture, DecoderPrecision precision)
    {
        card.Append("## Limits\n\n");
        foreach (var limit in description.Limits)
        {
            card.Append("- ").Append(limit).Append('\n');
        }

        card.Append("- Only what the table shows was measured.\n");
        if (description.Evaluation.Count > 0 && precision.Weights != "fp32")
        {
            card.Append($"- The table was measured in single precision; these weights are {precision.Weights}.\n");
        }

        card.Append($"- A sequence has at most {architecture.MaxPositions} positions, latents included.\n");
        card.Append("- The hint of a latent is what the codebook decoder reads in it: lossy, and not what the model computed.\n\n");
    }

    private static void Row(StringBuilder card, string name, object value) => card.Append($"| {name} | {value} |\n");

    private static string Cell(string text) => text.ReplaceLineEndings(" ").Replace("|", "\\|", StringComparison.Ordinal);

    private static string Percent(double fraction) => Number(fraction * 100, "0.0") + " %";

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
