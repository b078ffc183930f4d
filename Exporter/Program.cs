using Spectre.Console;
using Tessera.Exporter.Commands;

namespace Tessera.Exporter;

/// <summary>Entry of <c>tessera-export</c>.</summary>
internal static class Program
{
    private static Task<int> Main(string[] args) =>
        CommandLine.RunAsync(args, AnsiConsole.Console, Console.Out, Console.Error);
}
