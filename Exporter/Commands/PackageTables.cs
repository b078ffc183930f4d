using System.Globalization;
using Spectre.Console;
using Tessera.Exporter.Measurement;
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
        Row(table, "Attention", $"{shape.HeadCount} heads ({shape.KvHeadCount} key/value) x {shape.HeadDim}, rotary base {shape.RopeTheta}{(shape.RopeScaling.Length > 0 ? $", {shape.RopeScaling}" : "")}");
        Row(table, "Sliding window", shape.SlidingWindow > 0 ? $"{shape.SlidingWindow} positions" : "none");
        Row(table, "N-gram embeddings", shape.NgramEmbeddings);
        Row(table, "Positions", shape.MaxPositions);
        Row(table, "Precision", Describe(manifest.Precision));
        Row(table, "Text tokens per latent", manifest.Latents.TextTokensPerLatent);
        Row(table, "Codebook", manifest.Codebook is { } codebook ? $"{codebook.ChunkTokens} tokens per chunk, at most {codebook.MaxCodes} codes" : "none");
        console.Write(table);
    }

    /// <summary>Which ids are what.</summary>
    public static void WriteVocabulary(IAnsiConsole console, ModelPackage package)
    {
        var vocabulary = package.Vocabulary;
        var table = NewTable("Ids", "Count", "What");
        var end = vocabulary.FirstLatentId + vocabulary.LatentCount;
        Range(0, vocabulary.ThinkId, "text");
        Range(vocabulary.ThinkId, vocabulary.FirstLatentId, string.Join(' ', package.Manifest.SpecialTokens.Named().Skip(2).Select(token => token.Content)));
        Range(vocabulary.FirstLatentId, end, "latents");
        Range(end, package.Tokenizer.VocabularySize, "more of the tokenizer");
        Range(Math.Max(end, package.Tokenizer.VocabularySize), vocabulary.Size, "unused rows");
        console.Write(table);

        void Range(int from, int to, string what)
        {
            if (to > from)
            {
                Row(table, $"{from} to {to - 1}", to - from, what);
            }
        }
    }

    /// <summary>What it takes.</summary>
    public static void WriteMemory(IAnsiConsole console, PackageMemory memory)
    {
        var table = NewTable("Memory (worked out, not measured)", "Bytes");
        Row(table, "Decoder weights", Number(memory.WeightBytes));
        Row(table, "Weights read per decoded token", Number(memory.BytesPerToken));
        Row(table, "Keys and values per position", Number(memory.KvBytesPerPosition));
        Row(table, $"Keys and values of {memory.MaxPositions} positions", Number(memory.KvBytesPerSequence));
        Row(table, "Memory of this machine", Number(memory.AvailableBytes));
        console.Write(table);
        console.WriteLine(memory.SequencesThatFit > 0
            ? $"Fits: with the weights loaded there is room for {memory.SequencesThatFit} sequences of full length."
            : "Does not fit: not even one sequence of full length has room beside the weights.");
    }

    /// <summary>How fast each precision was.</summary>
    public static void WriteSpeeds(IAnsiConsole console, IReadOnlyList<PrecisionSpeed> speeds)
    {
        var table = NewTable("Sample of this model in", "Decode, 1 sequence (tokens/s)", "Decode, 8 sequences", "Prefill", "Logits error");
        foreach (var speed in speeds)
        {
            Row(table, speed.Weights, Rounded(speed.Decode), Rounded(speed.BatchDecode), Rounded(speed.Prefill), Percent(speed.Error));
        }

        console.Write(table);
    }

    /// <summary>What was measured.</summary>
    public static void WriteEvaluation(IAnsiConsole console, Manifest manifest)
    {
        if (manifest.Evaluation.Count == 0)
        {
            return;
        }

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

    private static string Describe(Precision precision) =>
        $"weights {precision.Weights}{(precision.BlockSize > 0 ? $" in blocks of {precision.BlockSize}" : "")}, keys and values {precision.Kv}, for {precision.Device}";

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Rounded(double value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Percent(double fraction) => fraction.ToString("P1", CultureInfo.InvariantCulture);
}
