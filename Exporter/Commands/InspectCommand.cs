using Spectre.Console;
using Tessera.Models;

namespace Tessera.Exporter.Commands;

/// <summary><c>tessera-export inspect</c>.</summary>
internal static class InspectCommand
{
    /// <summary>Checks a package and shows its manifest.</summary>
    public static int Run(string package, IAnsiConsole console)
    {
        var loaded = ModelPackage.Load(package);
        PackageTables.WriteShape(console, loaded.Manifest);
        PackageTables.WriteVocabulary(console, loaded);
        PackageTables.WriteMemory(console, PackageMemory.Of(loaded));
        PackageTables.WriteEvaluation(console, loaded.Manifest);
        PackageTables.WriteFiles(console, loaded.Manifest);
        return 0;
    }
}
