using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Spectre.Console;

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

    private static RootCommand Build(IAnsiConsole console, TextWriter error)
    {
        var dataset = new Option<string>("--dataset")
        {
            Description = "JSONL with \"prompt\" and \"answer\", or the ProsQA JSON array.",
            Required = true,
            HelpName = "file",
        };
        var requests = Count("--requests", "Prompts to run, each in both modes; all when not given.", 1, int.MaxValue);
        var concurrency = Count("--concurrency", "Requests at once (closed loop); 1 when not given.", 1, 1024);
        var folder = new Option<string>("--out") { Description = "Folder for report.json.", Required = true, HelpName = "folder" };
        var url = new Option<Uri>("--url")
        {
            Description = "REST address of the server.",
            DefaultValueFactory = _ => new Uri("http://127.0.0.1:8080"),
            CustomParser = ParseUrl,
            HelpName = "url",
        };
        var latentBudget = Count("--latent-budget", "Most latents per response in latent mode; no limit when not given.", 0, int.MaxValue);
        var maxTokens = Count("--max-tokens", "Most tokens per response; the server's default when not given.", 1, int.MaxValue);
        var warmup = Count("--warmup", "Prompts run first in each mode and not counted; as many as the concurrency when not given.", 0, int.MaxValue);
        var timeout = new Option<double>("--timeout")
        {
            Description = "Seconds after which a request counts as timed out.",
            DefaultValueFactory = _ => 120,
            CustomParser = ParseSeconds,
            HelpName = "seconds",
        };
        var seed = Count("--seed", "Seed of the choice and order of prompts and of the intervals; 1 when not given.", 0, int.MaxValue);
        var model = new Option<string>("--model") { Description = "Model id; the server's only model when not given.", HelpName = "id" };

        var compare = new Command("compare", "Run the same prompts in text and in latent mode against a running server and compare.")
        {
            dataset, requests, concurrency, folder, url, latentBudget, maxTokens, warmup, timeout, seed, model,
        };
        compare.SetAction((parsed, cancellationToken) => CompareCommand.RunAsync(
            new CompareOptions
            {
                Dataset = parsed.GetRequiredValue(dataset),
                Requests = parsed.GetValue(requests),
                Concurrency = parsed.GetValue(concurrency) ?? 1,
                Out = parsed.GetRequiredValue(folder),
                Url = parsed.GetRequiredValue(url),
                LatentBudget = parsed.GetValue(latentBudget),
                MaxTokens = parsed.GetValue(maxTokens),
                Warmup = parsed.GetValue(warmup),
                Timeout = TimeSpan.FromSeconds(parsed.GetValue(timeout)),
                Seed = parsed.GetValue(seed) ?? 1,
                Model = parsed.GetValue(model),
            },
            console, error, TimeProvider.System, cancellationToken));
        return new RootCommand("Load tests for Tessera: latent reasoning against plain chain of thought.") { compare };
    }

    private static Option<int?> Count(string name, string description, int least, int most) => new(name)
    {
        Description = description,
        HelpName = "n",
        CustomParser = result => TryParseCount(result, out var count) && count >= least && count <= most
            ? count
            : Refuse<int?>(result, name, most == int.MaxValue ? $"a whole number, {least} or more" : $"a whole number, {least} to {most}"),
    };

    private static bool TryParseCount(ArgumentResult result, out int count) =>
        int.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out count);

    private static double ParseSeconds(ArgumentResult result) =>
        double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 0.001 and <= 86_400
            ? seconds
            : Refuse<double>(result, "--timeout", "seconds, 0.001 to 86400");

    // An error of our own: the library's names the .NET type, and its converter throws when a validator reads the value.
    private static T? Refuse<T>(ArgumentResult result, string name, string expected)
    {
        result.AddError($"{name}: expected {expected}, found {result.Tokens[0].Value}");
        return default;
    }

    private static Uri ParseUrl(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (Uri.TryCreate(text, UriKind.Absolute, out var url)
            && (url.Scheme == Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps)
            && url is { AbsolutePath: "/", Query: "", Fragment: "", UserInfo: "" })
        {
            return url;
        }

        // The text is not repeated: a refused address may carry a password.
        result.AddError("--url: expected an address like http://127.0.0.1:8080 without path, query and password");
        return new Uri("http://127.0.0.1");
    }
}

/// <summary>What the process returns.</summary>
public static class ExitCodes
{
    /// <summary>Everything ran and every count held.</summary>
    public const int Complete = 0;

    /// <summary>Nothing was measured: bad arguments, bad dataset, no server.</summary>
    public const int CannotRun = 1;

    /// <summary>There is a report, but requests failed, counts contradict each other, or the server went away.</summary>
    public const int Flawed = 2;

    /// <summary>The user interrupted; the report tells of what ran.</summary>
    public const int Interrupted = 130;
}
