using Spectre.Console;
using Tessera.Models;

namespace Tessera.Exporter.Commands;

/// <summary><c>tessera-export inspect</c>.</summary>
internal static class InspectCommand
{
    /// <summary>Checks a package and shows its manifest.</summary>
    public static int Run(string package, IAnsiConsole console)
    {
        var manifest = ModelPackage.Load(package).Manifest;
        PackageTables.WriteShape(console, manifest);
        PackageTables.WriteEvaluation(console, manifest);
        PackageTables.WriteFiles(console, manifest);
        return 0;
    }
}
