using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>Brings a checked package into ONNX Runtime.</summary>
public static class OnnxModels
{
    private const string Cpu = "cpu";
    private const string Cuda = "cuda";

    /// <summary>Loads a package's graphs; the caller disposes both.</summary>
    /// <param name="package">The model.</param>
    /// <param name="options">Slots and threads.</param>
    /// <param name="codebook">The codebook; null when the package has none.</param>
    /// <exception cref="ModelPackageException">A graph cannot be loaded, does not match the manifest, or is written for another device.</exception>
    /// <exception cref="DeviceException">The device cannot be used; the message says what is missing.</exception>
    /// <exception cref="OrtLibraryException">The native runtime cannot be used; the message says what to do.</exception>
    public static IModelRunner Load(ModelPackage package, EngineOptions options, out ICodebook? codebook)
    {
        var manifest = package.Manifest;
        CheckDevice(manifest.Precision.Device, options.Device);
        var runner = new OnnxModelRunner(
            package.DecoderPath, manifest.Architecture, package.Vocabulary.PadId, options, manifest.Precision.Kv, OpenDevice(options, manifest.Architecture));
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

    /// <summary>The device that a package is written for.</summary>
    public static EngineDevice DeviceOf(Manifest manifest) => manifest.Precision.Device == Cuda ? EngineDevice.Cuda : EngineDevice.Cpu;

    private static IModelDevice OpenDevice(EngineOptions options, Architecture architecture) => options.Device == EngineDevice.Cuda
        ? new GpuDevice(CudaGpu.Open(options), new DecodeShapes(options.MaxSlots, architecture.MaxPositions, options.CudaGraphs))
        : new HostDevice(options.Threads, options.SpinMicroseconds);

    private static void CheckDevice(string written, EngineDevice device)
    {
        var (wanted, help) = device == EngineDevice.Cuda
            ? (Cuda, "tessera-export export --device cuda writes such a package")
            : (Cpu, "--Engine:Device cuda runs such a package on a GPU");
        if (written != wanted)
            throw new ModelPackageException(ModelPackage.ManifestFileName, "$.precision.device", $"{wanted}, which Engine:Device says ({help})", written);
    }
}
