using System.Collections;

namespace Tessera.Server.Hosting;

/// <summary>Puts the options together: defaults, then appsettings.json, then the environment, then the command line; the last one wins.</summary>
internal static class OptionsReader
{
    /// <summary>Reads and checks all options.</summary>
    /// <param name="settingsFile">Path of appsettings.json; may not exist.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="args">Command line.</param>
    /// <param name="problems">Every problem, one line each, naming the option; empty when the options are valid.</param>
    public static TesseraOptions Read(string settingsFile, IDictionary environment, IReadOnlyList<string> args, out IReadOnlyList<string> problems)
    {
        var found = new List<string>();
        IEnumerable<OptionSetting> settings =
        [
            .. OptionSources.FromFile(settingsFile, found),
            .. OptionSources.FromEnvironment(environment),
            .. OptionSources.FromCommandLine(args, found),
        ];
        var options = settings.Aggregate(new TesseraOptions(), (current, setting) => Apply(current, setting, found));
        CheckTogether(options, found);
        problems = found;
        return options;
    }

    private static TesseraOptions Apply(TesseraOptions options, OptionSetting setting, List<string> problems)
    {
        var descriptor = OptionCatalog.Find(setting.Key);
        if (descriptor is null)
        {
            problems.Add($"{setting.Key}: expected one of the options that --help lists, found an unknown one ({setting.Origin}){Suggest(setting.Key)}");
            return options;
        }
        if (descriptor.Apply(options, setting.Value) is { } applied)
        {
            return applied;
        }
        problems.Add($"{descriptor.Key}: expected {descriptor.Expected}, found '{setting.Value}' ({setting.Origin})");
        return options;
    }

    /// <summary>Rules about more than one option.</summary>
    private static void CheckTogether(TesseraOptions options, List<string> problems)
    {
        if (options.Server.RestPort == options.Server.GrpcPort && options.Server.RestPort != 0)
        {
            problems.Add($"Server:GrpcPort: expected a port other than Server:RestPort, found {options.Server.GrpcPort} for both");
        }
    }

    // The usual slip is the right name without or in the wrong section.
    private static string Suggest(string key)
    {
        var name = key[(key.LastIndexOf(':') + 1)..];
        var near = OptionCatalog.All.FirstOrDefault(o => o.Key.EndsWith(":" + name, StringComparison.OrdinalIgnoreCase));
        return near is null ? "" : $"; did you mean {near.Key}?";
    }
}
