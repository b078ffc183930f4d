using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Exporter.Verification;

/// <summary>Loads a package as the server does, runs it, and compares it with what training recorded.</summary>
internal static class PackageVerifier
{
    /// <summary>All comparisons, the failed ones included.</summary>
    /// <param name="directory">The package.</param>
    /// <param name="referencePath">reference.safetensors; null for the one in the package.</param>
    /// <param name="threads">Threads of the runtime; 0 = the machine's cores.</param>
    /// <param name="tolerance">How the decoder's logits are compared; null for what its precision allows.</param>
    /// <exception cref="ModelPackageException">The package is not valid.</exception>
    /// <exception cref="ExportException">The reference cannot be used.</exception>
    public static VerificationReport Verify(string directory, string? referencePath, int threads = 0, Tolerance? tolerance = null)
    {
        var package = ModelPackage.Load(directory);
        var shape = package.Manifest.Codebook;
        var reference = ReferenceFile.Read(
            referencePath ?? Path.Combine(package.Directory, ReferenceFile.FileName),
            package.Manifest.Architecture.VocabularySize,
            package.Manifest.Architecture.MaxPositions,
            shape?.ChunkTokens ?? 0,
            shape?.TextVocabularySize ?? 0);
        CheckCodes(reference, package.Manifest);

        var options = new EngineOptions
        {
            MaxSlots = DecoderVerifier.SlotsFor(reference.Cases.Count),
            Threads = threads,
            Device = OnnxModels.DeviceOf(package.Manifest),
        };
        using var runner = OnnxModels.Load(package, options, out var codebook);
        using (codebook)
        {
            var rows = new DecoderVerifier(runner, reference.Cases, tolerance ?? Tolerance.Of(package.Manifest.Precision)).Verify().ToList();
            if (codebook is OnnxCodebook graphs && shape is not null)
            {
                rows.AddRange(new CodebookVerifier(graphs, shape.ChunkTokens, reference.CodebookCases).Verify());
            }

            var (row, text) = new SmokeGeneration(package, runner).Run(reference.Cases[0]);
            rows.Add(row);
            return new VerificationReport(rows, text);
        }
    }

    private static void CheckCodes(ReferenceFile reference, Manifest manifest)
    {
        foreach (var example in reference.CodebookCases)
        {
            if (example.Codes.Length > manifest.Codebook!.MaxCodes || example.Encoded.Length > manifest.Codebook.MaxCodes)
            {
                throw new ExportException(reference.Name, $"{example.Name}.codes", $"at most {manifest.Codebook.MaxCodes} codes", $"{example.Codes.Length}");
            }

            if (example.Codes.FirstOrDefault(code => code >= manifest.Latents.Count, -1) is >= 0 and var code)
            {
                throw new ExportException(reference.Name, $"{example.Name}.codes", $"codes below {manifest.Latents.Count}", $"{code}");
            }
        }
    }
}
