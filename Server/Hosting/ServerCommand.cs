using System.Collections;
using System.Reflection;
using Tessera.Engine;
using Tessera.Models;
using Tessera.Server.Security;

namespace Tessera.Server.Hosting;

/// <summary>The process: reads options, loads the model, serves until it is told to stop.</summary>
/// <param name="BaseDirectory">Folder of the binaries, with appsettings.json and the shipped package.</param>
/// <param name="Environment">Environment variables.</param>
/// <param name="Output">What the person who starts the server reads.</param>
/// <param name="Error">Why it does not start, one line per problem.</param>
internal sealed record ServerCommand(string BaseDirectory, IDictionary Environment, TextWriter Output, TextWriter Error)
{
    /// <summary>Runs the server.</summary>
    /// <param name="args">Command line.</param>
    /// <param name="stop">Stops the server as SIGTERM does.</param>
    /// <returns>0 after an orderly stop, 1 when it could not start.</returns>
    public async Task<int> RunAsync(IReadOnlyList<string> args, CancellationToken stop = default)
    {
        if (args.Any(a => a is "--help" or "-h" or "-?"))
        {
            await Output.WriteAsync(HelpText.Write()).ConfigureAwait(false);
            return 0;
        }
        if (args.Contains("--version"))
        {
            await Output.WriteLineAsync(Version).ConfigureAwait(false);
            return 0;
        }

        if (args is ["keys", ..])
        {
            return RunKeys([.. args.Skip(1)]);
        }

        var options = OptionsReader.Read(SettingsFile, Environment, args, out var problems);
        return problems.Count > 0 ? Refuse(problems) : await ServeAsync(options, NewReload(args), stop).ConfigureAwait(false);
    }

    /// <summary>Version of this build.</summary>
    public static string Version { get; } =
        typeof(ServerCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    private string SettingsFile => Path.Combine(BaseDirectory, "appsettings.json");

    private OptionsReload NewReload(IReadOnlyList<string> args) => new(OptionsReader.SettingsFile(SettingsFile, Environment, args), () =>
    {
        var options = OptionsReader.Read(SettingsFile, Environment, args, out var problems);
        return (options, problems);
    });

    private int RunKeys(IReadOnlyList<string> args)
    {
        try
        {
            return new KeysCommand(SettingsFile, Environment, Output, Error).Run(args);
        }
        catch (StartException e)
        {
            return Refuse([e.Message]);
        }
    }

    private async Task<int> ServeAsync(TesseraOptions options, OptionsReload reload, CancellationToken stop)
    {
        try
        {
            // Before the model: who must not start should not wait for it.
            var keys = KeyFilePath.Open(options, Environment);
            var package = ModelPackage.Load(PackageLocator.Find(options.Model.Package, BaseDirectory));
            var engine = await StartEngineAsync(package, options).ConfigureAwait(false);
            var host = ServerHost.Build(options, engine, keys, reload, endsAtSecondSignal: true);
            await using (host.ConfigureAwait(false))
            {
                await host.StartAsync().ConfigureAwait(false);
                await GreetAsync(host, package.Manifest.Name).ConfigureAwait(false);
                await host.WaitForShutdownAsync(stop).ConfigureAwait(false);
            }
            return 0;
        }
        catch (ModelPackageException e)
        {
            return Refuse([e.Message]);
        }
        catch (StartException e)
        {
            return Refuse([e.Message]);
        }
    }

    /// <summary>Starts the engine and waits until it has answered its warm-up request: who reads the ready line can send the first request.</summary>
    private static async Task<InferenceEngine> StartEngineAsync(ModelPackage package, TesseraOptions options)
    {
        var engine = CreateEngine(package, options);
        if (await engine.WaitUntilStartedAsync().ConfigureAwait(false) == EngineState.Ready)
        {
            return engine;
        }
        await engine.DisposeAsync().ConfigureAwait(false);
        throw new StartException($"the model of '{package.Directory}' failed its warm-up request: {engine.Failure?.Message}", engine.Failure);
    }

    // Whatever the native runtime says about a graph is for the person who starts the server: one line of it.
    private static InferenceEngine CreateEngine(ModelPackage package, TesseraOptions options)
    {
        try
        {
            return InferenceEngine.Start(package, options.Engine, TimeProvider.System);
        }
        catch (Exception e) when (e is not ModelPackageException)
        {
            throw new StartException($"the model of '{package.Directory}' cannot be started: {e.Message}", e);
        }
    }

    private async Task GreetAsync(ServerHost host, string model)
    {
        var rest = host.RestAddress.GetLeftPart(UriPartial.Authority);
        var grpc = host.GrpcAddress.GetLeftPart(UriPartial.Authority);
        await Output.WriteLineAsync($"""
            Tessera {Version} serves {model} at {rest} (page and REST) and {grpc} (gRPC). Try:

              curl -s {rest}/v1/chat/completions -H 'Content-Type: application/json' \
                -d {CurlBody(model)}

            listening rest={rest} grpc={grpc}
            """).ConfigureAwait(false);
        await Output.FlushAsync().ConfigureAwait(false);
    }

    private static string CurlBody(string model)
    {
        const string Question =
            "Every jompus is a wumpus. Rex is a jompus. Every wumpus is a lempus. Sam is a gorpus. Every gorpus is a scrompus. Is Rex a lempus or scrompus?";
        return $$$"""'{"model":"{{{model}}}","messages":[{"role":"user","content":"{{{Question}}}"}],"reasoning":{"mode":"latent"}}'""";
    }

    private int Refuse(IReadOnlyList<string> problems)
    {
        foreach (var problem in problems)
        {
            Error.WriteLine($"error: {problem.ReplaceLineEndings(" ")}");
        }
        return 1;
    }
}
