using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Measurement;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Verification;
using Tessera.Models;

namespace Tessera.Exporter.Commands;

/// <summary>Which number formats a user asked for; <c>auto</c> is found out.</summary>
/// <param name="Weights">A precision, or <c>auto</c>.</param>
/// <param name="Kv">Keys and values; null for those that go with the weights.</param>
/// <param name="Device"><c>cpu</c> or <c>cuda</c>.</param>
/// <param name="BlockSize">0 for the precision's own.</param>
internal sealed record PrecisionChoice(string Weights, string? Kv, string Device, int BlockSize);

/// <summary><c>tessera-export export</c>.</summary>
internal static class ExportCommand
{
    private const string Auto = "auto";

    /// <summary>Exports and says what was written.</summary>
    public static int Run(ExportRequest request, PrecisionChoice choice, IAnsiConsole console, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        request = request with { Precision = Resolve(request, choice, console, cancellationToken) };
        var manifest = Progress.Run(console, show => PackageExporter.Export(request, show, cancellationToken));
        PackageTables.WriteFiles(console, manifest);
        console.WriteLine($"Wrote {manifest.Name} {manifest.Version} ({manifest.Precision.Weights}, keys and values {manifest.Precision.Kv}) to {request.Output}");
        console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{watch.Elapsed.TotalSeconds:0.0} s, at most {PeakMemory.Bytes / 1e6:0} MB of memory."));
        if (choice.Device == "cuda")
        {
            console.WriteLine("The package is for CUDA, and checked in form only. Verify it on a GPU; the server takes it with --Engine:Device cuda. None was run on one yet.");
        }

        if (manifest.Files.All(file => file.Path != ReferenceFile.FileName))
        {
            console.WriteLine($"The checkpoint has no {ReferenceFile.FileName}: `verify` needs --reference.");
        }

        return 0;
    }

    private static DecoderPrecision Resolve(ExportRequest request, PrecisionChoice choice, IAnsiConsole console, CancellationToken cancellationToken)
    {
        if (choice.Weights != Auto)
        {
            return DecoderPrecision.Create(choice.Weights, choice.Kv, choice.Device, choice.BlockSize);
        }

        if (choice.Device == "cuda")
        {
            // There is nothing to measure on: half precision is what every such device is fast at.
            return DecoderPrecision.Create("fp16", choice.Kv, choice.Device, choice.BlockSize);
        }

        var advice = Progress.Run(console, show => PrecisionAdvisor.Advise(request.Checkpoint, show, cancellationToken));
        if (advice.Speeds.Count > 0)
        {
            PackageTables.WriteSpeeds(console, advice.Speeds);
        }

        console.WriteLine($"Precision: {advice.Choice}, since {advice.Reason} (--precision chooses another).");
        return DecoderPrecision.Create(advice.Choice, choice.Kv, choice.Device, advice.Choice is "int4" or "int8" ? choice.BlockSize : 0);
    }
}
