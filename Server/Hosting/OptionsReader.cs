using System.Collections;

namespace Tessera.Server.Hosting;

/// <summary>Puts the options together: defaults, then appsettings.json, then the environment, then the command line; the last one wins.</summary>
internal static class OptionsReader
{
    /// <summary>Reads and checks all options.</summary>
    /// <param name="settingsFile">Path of appsettings.json, unless another file is named; may not exist.</param>
    /// <param name="environment">Environment variables.</param>
    /// <param name="args">Command line.</param>
    /// <param name="problems">Every problem, one line each, naming the option; empty when the options are valid.</param>
    public static TesseraOptions Read(string settingsFile, IDictionary environment, IReadOnlyList<string> args, out IReadOnlyList<string> problems)
    {
        var found = new List<string>();
        IReadOnlyList<OptionSetting> outside = [.. OptionSources.FromEnvironment(environment), .. OptionSources.FromCommandLine(args, found)];
        IReadOnlyList<OptionSetting> inside = OptionSources.FromFile(Named(outside) ?? settingsFile, found);
        CheckSettingsFile(outside, inside, found);
        IEnumerable<OptionSetting> settings = [.. inside, .. outside];
        var options = settings.Aggregate(new TesseraOptions(), (current, setting) => Apply(current, setting, found));
        CheckTogether(options, found);
        problems = found;
        return options;
    }

    /// <summary>The file that <see cref="Read"/> reads.</summary>
    /// <inheritdoc cref="Read" path="/param"/>
    public static string SettingsFile(string settingsFile, IDictionary environment, IReadOnlyList<string> args) =>
        Named([.. OptionSources.FromEnvironment(environment), .. OptionSources.FromCommandLine(args, [])]) ?? settingsFile;

    private static string? Named(IReadOnlyList<OptionSetting> settings) => settings.LastOrDefault(IsSettingsFile) is { Value.Length: > 0 } named ? named.Value : null;

    private static bool IsSettingsFile(OptionSetting setting) => string.Equals(setting.Key, OptionCatalog.SettingsFileKey, StringComparison.OrdinalIgnoreCase);

    // A file that was named must be there: limits that were not mounted must not be the defaults.
    private static void CheckSettingsFile(IReadOnlyList<OptionSetting> outside, IReadOnlyList<OptionSetting> inside, List<string> problems)
    {
        if (Named(outside) is { } named && !File.Exists(named))
        {
            problems.Add($"{OptionCatalog.SettingsFileKey}: expected a file, found none at '{named}'");
        }

        if (inside.FirstOrDefault(IsSettingsFile) is { } own)
        {
            problems.Add($"{OptionCatalog.SettingsFileKey}: expected in the environment or on the command line, found in {own.Origin}");
        }
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
