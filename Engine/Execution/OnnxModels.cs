using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>Brings a checked package into ONNX Runtime.</summary>
public static class OnnxModels
{
    /// <summary>Loads a package's graphs; the caller disposes both.</summary>
    /// <param name="package">The model.</param>
    /// <param name="options">Slots and threads.</param>
    /// <param name="codebook">The codebook; null when the package has none.</param>
    /// <exception cref="ModelPackageException">A graph cannot be loaded, or does not match the manifest.</exception>
    /// <exception cref="OrtLibraryException">The native runtime cannot be used; the message says what to do.</exception>
    public static IModelRunner Load(ModelPackage package, EngineOptions options, out ICodebook? codebook)
    {
        var manifest = package.Manifest;
        if (manifest.Precision.Device != "cpu")
            throw new ModelPackageException(ModelPackage.ManifestFileName, "$.precision.device", "cpu (what this build runs)", manifest.Precision.Device);
        var runner = new OnnxModelRunner(package.DecoderPath, manifest.Architecture, package.Vocabulary.PadId, options, manifest.Precision.Kv);
        try
        {
            codebook = manifest.Codebook is null
                ? null
                : new OnnxCodebook(
                    package.CodebookDecoderPath, package.CodebookEncoderPath, manifest.Codebook, manifest.Latents.Count, package.Vocabulary.PadId,
                    ids => package.Tokenizer.Decode(ids));
            return runner;
        }
        catch
        {
            runner.Dispose();
            throw;
        }
    }
}
