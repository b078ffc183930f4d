using Spectre.Console;
using Tessera.LoadTests.Commands;

if (Console.IsOutputRedirected)
{
    // A file or a pipe has no width; the default of 80 would break the tables.
    AnsiConsole.Console.Profile.Width = 140;
}

return await LoadCommandLine.RunAsync(args, AnsiConsole.Console, Console.Error);
