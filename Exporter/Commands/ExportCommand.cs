using Spectre.Console;
using Tessera.Exporter.Packaging;
using Tessera.Exporter.Verification;
using Tessera.Models;

namespace Tessera.Exporter.Commands;

/// <summary><c>tessera-export export</c>.</summary>
internal static class ExportCommand
{
    /// <summary>Exports and says what was written.</summary>
    public static int Run(ExportRequest request, IAnsiConsole console, CancellationToken cancellationToken)
    {
        // Without a terminal there is nothing to redraw, and lines of percentages help nobody.
        var manifest = console.Profile.Capabilities.Ansi
            ? ExportWithProgress(request, console, cancellationToken)
            : PackageExporter.Export(request, static (_, _, _) => { }, cancellationToken);
        PackageTables.WriteFiles(console, manifest);
        console.WriteLine($"Wrote {manifest.Name} {manifest.Version} to {request.Output}");
        if (manifest.Files.All(file => file.Path != ReferenceFile.FileName))
        {
            console.WriteLine($"The checkpoint has no {ReferenceFile.FileName}: `verify` needs --reference.");
        }

        return 0;
    }

    private static Manifest ExportWithProgress(ExportRequest request, IAnsiConsole console, CancellationToken cancellationToken) =>
        console.Progress().AutoClear(true).Start(context =>
        {
            var tasks = new Dictionary<string, ProgressTask>(StringComparer.Ordinal);
            return PackageExporter.Export(request, Show, cancellationToken);

            void Show(string stage, int done, int total)
            {
                if (!tasks.TryGetValue(stage, out var task))
                {
                    tasks[stage] = task = context.AddTask(stage, maxValue: total);
                }

                task.Value = done;
            }
        });
}
