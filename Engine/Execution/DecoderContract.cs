using System.Globalization;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>The decoder graph's inputs and outputs: their names, and the check of a loaded graph against the manifest's architecture.</summary>
internal static class DecoderContract
{
    public const string InputIds = "input_ids";
    public const string PreviousIds = "previous_ids";
    public const string SequenceLengths = "seqlens_k";
    public const string TotalLength = "total_sequence_length";
    public const string LogitsRows = "logits_rows";
    public const string Logits = "logits";

    private const long Any = -1;

    /// <summary>Type of keys and values that a manifest's <c>precision.kv</c> names.</summary>
    /// <exception cref="ModelPackageException">One that this build does not run.</exception>
    public static OrtElementType KvType(string kv) => kv switch
    {
        "f32" => OrtElementType.F32,
        "f16" => OrtElementType.F16,
        "bf16" => OrtElementType.BF16,
        "int8" => OrtElementType.I8,
        _ => throw new ModelPackageException(ModelPackage.ManifestFileName, "$.precision.kv", "f32, f16, bf16 or int8 (what this build runs)", kv),
    };

    public static string PastKey(int layer) => Name("past_key_", layer);

    public static string PastValue(int layer) => Name("past_value_", layer);

    public static string PresentKey(int layer) => Name("present_key_", layer);

    public static string PresentValue(int layer) => Name("present_value_", layer);

    /// <summary>Checks names, element types and shapes.</summary>
    /// <param name="file">File of the graph, for the error.</param>
    /// <param name="architecture">What the manifest says.</param>
    /// <param name="kv">Type of keys and values.</param>
    /// <param name="inputs">Inputs of the loaded graph.</param>
    /// <param name="outputs">Outputs of the loaded graph.</param>
    /// <exception cref="ModelPackageException">The graph is not the one that the manifest describes.</exception>
    public static void Check(
        string file, Architecture architecture, OrtElementType kv, IReadOnlyList<OrtTensorSpec> inputs, IReadOnlyList<OrtTensorSpec> outputs)
    {
        long[] cache = [Any, architecture.KvHeadCount, architecture.MaxPositions, architecture.HeadDim];
        List<OrtTensorSpec> expectedInputs =
        [
            new(InputIds, OrtElementType.I64, [Any, Any]),
            new(SequenceLengths, OrtElementType.I32, [Any]),
            new(LogitsRows, OrtElementType.I64, [Any]),
        ];
        if (architecture.NgramEmbeddings > 0)
            expectedInputs.Add(new(PreviousIds, OrtElementType.I64, [Any, architecture.NgramEmbeddings]));
        List<OrtTensorSpec> expectedOutputs = [new(Logits, OrtElementType.F32, [Any, architecture.VocabularySize])];
        for (var layer = 0; layer < architecture.LayerCount; layer++)
        {
            expectedInputs.Add(new(PastKey(layer), kv, cache));
            expectedInputs.Add(new(PastValue(layer), kv, cache));
            expectedOutputs.Add(new(PresentKey(layer), kv, cache));
            expectedOutputs.Add(new(PresentValue(layer), kv, cache));
        }

        CheckTotalLength(file, inputs);
        GraphCheck.Tensors(file, "input", expectedInputs, [.. inputs.Where(input => input.Name != TotalLength)]);
        GraphCheck.Tensors(file, "output", expectedOutputs, outputs);
    }

    /// <summary>The total length is one number: a scalar, or a vector of one element.</summary>
    private static void CheckTotalLength(string file, IReadOnlyList<OrtTensorSpec> inputs)
    {
        var total = inputs.FirstOrDefault(input => input.Name == TotalLength);
        if (total is { Type: OrtElementType.I32 } && (total.Shape.Count == 0 || (total.Shape.Count == 1 && total.Shape[0] is Any or 1)))
            return;
        throw new ModelPackageException(file, $"input '{TotalLength}'", "I32 scalar", total?.Describe() ?? "no such input");
    }

    private static string Name(string prefix, int layer) => prefix + layer.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Compares a graph's inputs or outputs with what they must be.</summary>
internal static class GraphCheck
{
    /// <summary>Checks that exactly the expected tensors are there; -1 on either side fits any length.</summary>
    /// <exception cref="ModelPackageException">Names the first tensor that is missing, different or not known.</exception>
    public static void Tensors(string file, string kind, IReadOnlyList<OrtTensorSpec> expected, IReadOnlyList<OrtTensorSpec> found)
    {
        foreach (var wanted in expected)
        {
            var actual = found.FirstOrDefault(tensor => tensor.Name == wanted.Name);
            if (actual is null || actual.Type != wanted.Type || !Fits(wanted.Shape, actual.Shape))
                throw new ModelPackageException(file, $"{kind} '{wanted.Name}'", wanted.Describe(), actual?.Describe() ?? $"no such {kind}");
        }

        var unknown = found.FirstOrDefault(tensor => expected.All(wanted => wanted.Name != tensor.Name));
        if (unknown is not null)
            throw new ModelPackageException(file, $"{kind} '{unknown.Name}'", $"no such {kind}", unknown.Describe());
    }

    private static bool Fits(IReadOnlyList<long> expected, IReadOnlyList<long> found) =>
        expected.Count == found.Count && expected.Zip(found).All(axis => axis.First < 0 || axis.Second < 0 || axis.First == axis.Second);
}
