using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Exporter.Verification;

/// <summary>Compares both codebook graphs with the reference.</summary>
/// <param name="codebook">The graphs.</param>
/// <param name="chunkTokens">Text tokens per chunk.</param>
/// <param name="cases">The reference.</param>
internal sealed class CodebookVerifier(OnnxCodebook codebook, int chunkTokens, IReadOnlyList<CodebookCase> cases)
{
    /// <summary>Largest absolute difference of a logit of the decoder; codes must be equal.</summary>
    public static readonly Tolerance Limit = new(1e-4);

    /// <summary>All comparisons.</summary>
    public IEnumerable<VerificationRow> Verify()
    {
        var logits = new DifferenceMeter();
        var codes = new DifferenceMeter();
        foreach (var reference in cases)
        {
            var prompt = Array.ConvertAll(reference.PromptIds, id => (int)id);
            CompareLogits(reference, codebook.Logits(Array.ConvertAll(reference.Codes, code => (int)code), prompt), logits);
            CompareCodes(reference, codebook.Encode([.. reference.TextIds.Select(id => (int)id).Chunk(chunkTokens)], prompt), codes);
        }

        yield return logits.ToRow(ModelPackage.CodebookDecoderFileName, "codes to text", Limit);
        yield return codes.ToRow(ModelPackage.CodebookEncoderFileName, "text to codes (1 = another code)", new Tolerance(0));
    }

    private static void CompareLogits(CodebookCase reference, float[] found, DifferenceMeter meter)
    {
        var width = reference.TextLogits.Length / reference.Codes.Length;
        for (var code = 0; code < reference.Codes.Length; code++)
        {
            meter.Add(reference.TextLogits.AsSpan(code * width, width), found.AsSpan(code * width, width));
        }
    }

    private static void CompareCodes(CodebookCase reference, IReadOnlyList<int> found, DifferenceMeter meter)
    {
        for (var code = 0; code < reference.Encoded.Length; code++)
        {
            meter.Add(reference.Encoded[code], found[code]);
        }
    }
}
