using System.Collections;
using System.Globalization;
using Tessera.Server.Hosting;

namespace Tessera.Server.Security;

/// <summary><c>keys add|list|revoke</c>: changes the key file. A running server sees it within seconds.</summary>
/// <param name="SettingsFile">Path of appsettings.json, for Security:KeyFile.</param>
/// <param name="Environment">Environment variables.</param>
/// <param name="Output">A new key, or the list.</param>
/// <param name="Error">Everything else.</param>
internal sealed record KeysCommand(string SettingsFile, IDictionary Environment, TextWriter Output, TextWriter Error)
{
    /// <summary>Usage, for <c>--help</c>.</summary>
    public const string Usage = """
        keys add NAME [--expires DAYS] [--requests-per-minute N] [--tokens-per-minute N]
                                       makes a key and prints it, this once
        keys list                      lists keys, without their secrets
        keys revoke ID|NAME            revokes a key
        """;

    private const int MaxNameLength = 64;
    private const int MaxDays = 36_500;

    /// <summary>Runs a command.</summary>
    /// <param name="args">What follows <c>keys</c>.</param>
    /// <exception cref="StartException">The command line or the file is wrong; one line.</exception>
    public int Run(IReadOnlyList<string> args)
    {
        var flags = new Dictionary<string, string>();
        var words = Split(args, flags, out var path, out var isUsers);
        switch (words)
        {
            case ["add", var name]:
                Add(path, name, flags, isUsers);
                return 0;
            case ["list"] when flags.Count == 0:
                List(path);
                return 0;
            case ["revoke", var key] when flags.Count == 0:
                Revoke(path, key);
                return 0;
            default:
                throw new StartException("keys: expected 'add NAME', 'list' or 'revoke ID|NAME', found something else; --help tells more");
        }
    }

    private void Add(string path, string name, Dictionary<string, string> flags, bool isUsers)
    {
        if (name.Length is 0 or > MaxNameLength || name.Any(char.IsControl))
        {
            throw new StartException($"keys add: NAME: expected 1 to {MaxNameLength} characters, found something else");
        }

        var (key, now) = (ApiKey.Create(), DateTimeOffset.UtcNow);
        var record = KeyRecord.Of(key, name, now) with
        {
            Expires = Number(flags, "--expires", 1, MaxDays) is { } days ? now.AddDays(days) : null,
            RequestsPerMinute = Number(flags, "--requests-per-minute", 0, int.MaxValue),
            TokensPerMinute = Number(flags, "--tokens-per-minute", 0, int.MaxValue),
        };
        KeyFile.Change(path, keys => keys.Any(other => other.Name == name && other.IsValidAt(now))
            ? throw new StartException($"keys add: NAME: expected one that no valid key has, found '{name}'")
            : [.. keys, record]);
        Output.WriteLine(key);
        Error.WriteLine($"Key {key.Id} for {name} is in {path}. The line above is all there is of its secret: keep it.");
        if (isUsers)
        {
            Error.WriteLine("Every server of this user asks for a key from its next start on, unless Security:KeyFile names another file.");
        }
    }

    private void List(string path)
    {
        var now = DateTimeOffset.UtcNow;
        foreach (var key in KeyFile.Read(path))
        {
            var state = key.Revoked is { } revoked ? $"revoked {Day(revoked)}" : key.IsValidAt(now) ? "valid" : "expired";
            var expires = key.Expires is { } end ? $"expires {Day(end)}" : "does not expire";
            Output.WriteLine($"{key.Id}  {state}  made {Day(key.Created)}  {expires}  {key.Name}");
        }
    }

    private void Revoke(string path, string wanted)
    {
        var now = DateTimeOffset.UtcNow;
        KeyFile.Change(path, keys =>
        {
            var found = keys.Where(key => key.Revoked is null && (key.Id == wanted || key.Name == wanted)).ToList();
            return found.Count == 0
                ? throw new StartException($"keys revoke: expected id or name of a key that is not revoked, found '{wanted}'")
                : [.. keys.Select(key => found.Contains(key) ? key with { Revoked = now } : key)];
        });
        Error.WriteLine($"{wanted} is revoked.");
    }

    // Options of the server may stand among the words: the file is found as the server finds it.
    private List<string> Split(IReadOnlyList<string> args, Dictionary<string, string> flags, out string path, out bool isUsers)
    {
        var (words, options) = (new List<string>(), new List<string>());
        for (var i = 0; i < args.Count; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal))
            {
                words.Add(args[i]);
            }
            else if (args[i].Contains(':', StringComparison.Ordinal) || i + 1 == args.Count)
            {
                options.AddRange(args[i].Contains('=', StringComparison.Ordinal) || i + 1 == args.Count ? [args[i]] : [args[i], args[++i]]);
            }
            else if (args[i] is "--expires" or "--requests-per-minute" or "--tokens-per-minute")
            {
                flags[args[i]] = args[++i];
            }
            else
            {
                throw new StartException($"keys: expected --expires, --requests-per-minute, --tokens-per-minute or an option of the server, found '{args[i]}'");
            }
        }

        var read = OptionsReader.Read(SettingsFile, Environment, options, out var problems);
        isUsers = read.Security.KeyFile.Length == 0;
        path = problems.Count > 0 ? throw new StartException(problems[0]) : KeyFilePath.Resolve(read.Security.KeyFile, Environment);
        return path.Length > 0 ? words : throw new StartException("Security:KeyFile: expected a path, found none, and no HOME to choose one");
    }

    private static int? Number(Dictionary<string, string> flags, string flag, int min, int max) =>
        !flags.TryGetValue(flag, out var text) ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max ? number
        : throw new StartException($"{flag}: expected a whole number from {min} to {max}, found '{text}'");

    private static string Day(DateTimeOffset time) => time.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
