using System.CommandLine;
using Spectre.Console;
using Tessera.LoadTests.Reporting;

namespace Tessera.LoadTests.Commands;

/// <summary>The command line of <c>tessera-load</c>.</summary>
public static class LoadCommandLine
{
    // After Ctrl-C the report of what ran is still computed and written.
    private static readonly TimeSpan InterruptionGrace = TimeSpan.FromMinutes(2);

    /// <summary>Parses and runs; returns the exit code (<see cref="ExitCodes"/>).</summary>
    /// <param name="args">Arguments without the program's name.</param>
    /// <param name="console">For progress and tables.</param>
    /// <param name="error">For errors, one line each.</param>
    /// <param name="cancellationToken">Interrupts like Ctrl-C.</param>
    public static async Task<int> RunAsync(string[] args, IAnsiConsole console, TextWriter error, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(error);
        var parsed = Build(console, error).Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (var problem in parsed.Errors)
            {
                await error.WriteLineAsync($"tessera-load: {problem.Message}").ConfigureAwait(false);
            }

            return ExitCodes.CannotRun;
        }

        var configuration = new InvocationConfiguration { Error = error, ProcessTerminationTimeout = InterruptionGrace };
        return await parsed.InvokeAsync(configuration, cancellationToken).ConfigureAwait(false);
    }

    private static RootCommand Build(IAnsiConsole console, TextWriter error) => new("Load tests: latent reasoning against plain chain of thought.")
    {
        BuildLoadCommand("run", "Run prompts in one mode against a running server and report latency, throughput, memory and accuracy.", false, console, error),
        BuildLoadCommand("compare", "Run the same prompts in text and in latent mode against a running server and compare.", true, console, error),
        BuildSchemaCommand(),
    };

    private static Command BuildSchemaCommand()
    {
        var command = new Command("schema", "Print the JSON Schema of report.json.");
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.Write(ReportSchema.Build()));
        return command;
    }

    private static Command BuildLoadCommand(string name, string description, bool isComparison, IAnsiConsole console, TextWriter error)
    {
        var options = new LoadCommandOptions(isComparison);
        var command = new Command(name, description);
        options.AddTo(command);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            LoadOptions read;
            try
            {
                read = options.Read(parsed);
            }
            catch (LoadTestException e)
            {
                await error.WriteLineAsync($"tessera-load: {e.Message}").ConfigureAwait(false);
                return ExitCodes.CannotRun;
            }

            return await LoadCommand.RunAsync(read, console, error, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        });
        return command;
    }
}
