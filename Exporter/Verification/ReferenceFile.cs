using Tessera.Exporter.Weights;

namespace Tessera.Exporter.Verification;

/// <summary>Logits that training recorded for one sequence.</summary>
/// <param name="Name">Name of the case.</param>
/// <param name="Ids">The whole sequence.</param>
/// <param name="Rows">Positions whose logits were recorded, ascending.</param>
/// <param name="Logits">[rows, vocabulary].</param>
internal sealed record ReferenceCase(string Name, int[] Ids, int[] Rows, float[] Logits)
{
    /// <summary>Logits after a position; empty when they were not recorded.</summary>
    public ReadOnlySpan<float> LogitsAt(int position)
    {
        var row = Array.BinarySearch(Rows, position);
        var width = Logits.Length / Rows.Length;
        return row < 0 ? [] : Logits.AsSpan(row * width, width);
    }
}

/// <summary>What training recorded of the codebook for one trace.</summary>
/// <param name="Name">Name of the case.</param>
/// <param name="Codes">k codes.</param>
/// <param name="PromptIds">P ids.</param>
/// <param name="TextLogits">[k, L, V_text] for these codes.</param>
/// <param name="TextIds">k * L ids.</param>
/// <param name="Encoded">k codes of those ids.</param>
internal sealed record CodebookCase(string Name, long[] Codes, long[] PromptIds, float[] TextLogits, long[] TextIds, long[] Encoded);

/// <summary>The checked content of <c>reference.safetensors</c>: what the PyTorch model gave in single precision.</summary>
internal sealed class ReferenceFile
{
    /// <summary>Name of the file in checkpoints and packages.</summary>
    public const string FileName = "reference.safetensors";

    private ReferenceFile(string name, IReadOnlyList<ReferenceCase> cases, IReadOnlyList<CodebookCase> codebookCases)
    {
        Name = name;
        Cases = cases;
        CodebookCases = codebookCases;
    }

    /// <summary>File name for errors.</summary>
    public string Name { get; }

    /// <summary>Sequences; at least one.</summary>
    public IReadOnlyList<ReferenceCase> Cases { get; }

    /// <summary>Traces for the codebook.</summary>
    public IReadOnlyList<CodebookCase> CodebookCases { get; }

    /// <summary>Reads a reference.</summary>
    /// <param name="path">The file.</param>
    /// <param name="vocabularySize">Width of the logits.</param>
    /// <param name="maxPositions">Longest sequence of the model.</param>
    /// <param name="chunkTokens">L of the codebook; 0 when the model has none.</param>
    /// <param name="textVocabularySize">V_text of the codebook.</param>
    /// <exception cref="ExportException">A tensor is missing or does not fit the model.</exception>
    public static ReferenceFile Read(string path, int vocabularySize, int maxPositions, int chunkTokens, int textVocabularySize)
    {
        using var file = SafeTensorsFile.Open(path);
        var cases = new List<ReferenceCase>();
        while (file.Tensors.ContainsKey($"case_{cases.Count}.input_ids"))
        {
            cases.Add(ReadCase(file, $"case_{cases.Count}", vocabularySize, maxPositions));
        }

        var codebookCases = new List<CodebookCase>();
        while (chunkTokens > 0 && file.Tensors.ContainsKey($"codebook_{codebookCases.Count}.codes"))
        {
            codebookCases.Add(ReadCodebookCase(file, $"codebook_{codebookCases.Count}", chunkTokens, textVocabularySize));
        }

        return cases.Count > 0
            ? new ReferenceFile(file.Name, cases, codebookCases)
            : throw new ExportException(file.Name, "case_0.input_ids", "a tensor of that name", "none");
    }

    private static ReferenceCase ReadCase(SafeTensorsFile file, string name, int vocabularySize, int maxPositions)
    {
        var ids = Integers(file, $"{name}.input_ids", 0, vocabularySize - 1);
        if (ids.Length == 0 || ids.Length > maxPositions)
        {
            throw new ExportException(file.Name, $"{name}.input_ids", $"1 to {maxPositions} ids", $"{ids.Length}");
        }

        var rows = Integers(file, $"{name}.rows", 0, ids.Length - 1);
        if (rows.Length == 0 || rows.Zip(rows.Skip(1)).Any(pair => pair.First >= pair.Second))
        {
            throw new ExportException(file.Name, $"{name}.rows", "ascending positions", rows.Length == 0 ? "none" : "others");
        }

        var logits = file.ReadFloats(file.Require($"{name}.logits", rows.Length, vocabularySize));
        return new ReferenceCase(name, ToInts(ids), ToInts(rows), logits);
    }

    private static CodebookCase ReadCodebookCase(SafeTensorsFile file, string name, int chunkTokens, int textVocabularySize)
    {
        var codes = Integers(file, $"{name}.codes", 0, int.MaxValue);
        var encoded = Integers(file, $"{name}.encoded", 0, int.MaxValue);
        var prompt = Integers(file, $"{name}.prompt_ids", 0, textVocabularySize - 1);
        var text = Integers(file, $"{name}.text_ids", 0, textVocabularySize - 1);
        if (text.Length != (long)encoded.Length * chunkTokens)
        {
            throw new ExportException(file.Name, $"{name}.text_ids", $"{chunkTokens} ids per code ({encoded.Length} codes)", $"{text.Length}");
        }

        var logits = file.ReadFloats(file.Require($"{name}.text_logits", 1, codes.Length, chunkTokens, textVocabularySize));
        return new CodebookCase(name, codes, prompt, logits, text, encoded);
    }

    private static long[] Integers(SafeTensorsFile file, string name, long min, long max)
    {
        var values = file.ReadIntegers(file.RequireAnyShape(name));
        foreach (var value in values)
        {
            if (value < min || value > max)
            {
                throw new ExportException(file.Name, name, $"numbers from {min} to {max}", $"{value}");
            }
        }

        return values;
    }

    private static int[] ToInts(long[] values) => Array.ConvertAll(values, value => (int)value);
}
