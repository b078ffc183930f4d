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
        var manifest = console.Progress().AutoClear(true).Start(context =>
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
        PackageTables.WriteFiles(console, manifest);
        console.WriteLine($"Wrote {manifest.Name} {manifest.Version} to {request.Output}");
        if (manifest.Files.All(file => file.Path != ReferenceFile.FileName))
        {
            console.WriteLine($"The checkpoint has no {ReferenceFile.FileName}: `verify` needs --reference.");
        }

        return 0;
    }
}
