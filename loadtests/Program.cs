using Spectre.Console;
using Tessera.LoadTests.Commands;

var console = AnsiConsole.Console;
if (Console.IsOutputRedirected)
{
    // A file or a pipe has neither colours nor a width; the default of 80 columns would break the tables.
    console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, ColorSystem = ColorSystemSupport.NoColors, Interactive = InteractionSupport.No });
    console.Profile.Width = 140;
}

return await LoadCommandLine.RunAsync(args, console, Console.Error);
