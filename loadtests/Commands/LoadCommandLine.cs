using System.CommandLine;
using Spectre.Console;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.SelfTest;

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
        BuildSelfTestCommand(console, error),
    };

    private static Command BuildSelfTestCommand(IAnsiConsole console, TextWriter error)
    {
        var streams = OptionParsing.Count("--streams", "Streams at once; 64 when not given.", 1, 4096);
        var rate = OptionParsing.Number("--tokens-per-second", "Tokens per second over all streams; 5000 when not given.", "n", 1, 1e6, "a number, 1 to 1000000");
        var seconds = OptionParsing.Number("--seconds", "Length of the measurement; 20 when not given.", "s", 0.1, 600, "seconds, 0.1 to 600");
        var serve = new Option<bool>("--serve") { Hidden = true };
        var command = new Command("self-test", "Measure what this tool itself costs and how far its times are off, against a server that sends at known times.")
        {
            streams, rate, seconds, serve,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(serve))
            {
                return await SelfTestCommand.ServeAsync(Console.In, Console.Out).ConfigureAwait(false);
            }

            try
            {
                return await SelfTestCommand.RunAsync(
                    parsed.GetValue(streams) ?? 64, parsed.GetValue(rate) ?? 5000, parsed.GetValue(seconds) ?? 20, console, cancellationToken).ConfigureAwait(false);
            }
            catch (LoadTestException e)
            {
                await error.WriteLineAsync($"tessera-load: {e.Message}").ConfigureAwait(false);
                return ExitCodes.CannotRun;
            }
        });
        return command;
    }

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
