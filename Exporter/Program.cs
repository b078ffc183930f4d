using Spectre.Console;
using Tessera.Exporter.Commands;

namespace Tessera.Exporter;

/// <summary>Entry of <c>tessera-export</c>.</summary>
internal static class Program
{
    // Of a pipe or a file nobody knows the width; the tables fit in this.
    private const int RedirectedWidth = 140;

    private static Task<int> Main(string[] args)
    {
        var redirected = Console.IsOutputRedirected;
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = redirected ? AnsiSupport.No : AnsiSupport.Detect });
        if (redirected)
        {
            console.Profile.Width = RedirectedWidth;
        }

        return CommandLine.RunAsync(args, console, Console.Out, Console.Error);
    }
}
