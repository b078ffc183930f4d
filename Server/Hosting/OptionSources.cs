using System.Collections;
using System.Text.Json;

namespace Tessera.Server.Hosting;

/// <summary>A value that somebody gave for an option.</summary>
/// <param name="Key">Section and name, as given.</param>
/// <param name="Value">The text.</param>
/// <param name="Origin">Where it was given, for error messages.</param>
internal sealed record OptionSetting(string Key, string Value, string Origin);

/// <summary>Reads settings from a JSON file, from the environment and from the command line.</summary>
internal static class OptionSources
{
    /// <summary>Prefix of environment variables: <c>TESSERA__Engine__MaxSlots</c>.</summary>
    public const string EnvironmentPrefix = "TESSERA__";

    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Settings of a file whose objects are sections; nothing when the file does not exist.</summary>
    public static List<OptionSetting> FromFile(string path, List<string> problems)
    {
        var settings = new List<OptionSetting>();
        if (!File.Exists(path))
        {
            return settings;
        }

        var name = Path.GetFileName(path);
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), Lenient);
            Flatten(document.RootElement, "", name, settings, problems);
        }
        catch (JsonException e)
        {
            problems.Add($"{name}: expected JSON, found an error at line {e.LineNumber + 1}, position {e.BytePositionInLine + 1}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add($"{name}: cannot be read");
        }
        return settings;
    }

    /// <summary>Settings of environment variables.</summary>
    public static List<OptionSetting> FromEnvironment(IDictionary variables)
    {
        var settings = new List<OptionSetting>();
        foreach (DictionaryEntry variable in variables)
        {
            var name = (string)variable.Key;
            if (name.StartsWith(EnvironmentPrefix, StringComparison.OrdinalIgnoreCase))
            {
                var key = name[EnvironmentPrefix.Length..].Replace("__", ":", StringComparison.Ordinal);
                settings.Add(new(key, (string?)variable.Value ?? "", $"environment variable {name}"));
            }
        }
        return settings;
    }

    /// <summary>Settings of a command line: <c>--Section:Name value</c> or <c>--Section:Name=value</c>.</summary>
    public static List<OptionSetting> FromCommandLine(IReadOnlyList<string> args, List<string> problems)
    {
        var settings = new List<OptionSetting>();
        for (var i = 0; i < args.Count; i++)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal) || args[i].Length == 2)
            {
                problems.Add($"command line: expected --Section:Name value, found '{args[i]}'");
                continue;
            }
            var assign = args[i].IndexOf('=', StringComparison.Ordinal);
            if (assign >= 0)
            {
                settings.Add(new(args[i][2..assign], args[i][(assign + 1)..], "command line"));
            }
            else if (i + 1 < args.Count)
            {
                settings.Add(new(args[i][2..], args[++i], "command line"));
            }
            else
            {
                problems.Add($"{args[i][2..]}: expected a value after it, found the end of the command line");
            }
        }
        return settings;
    }

    private static void Flatten(JsonElement element, string key, string origin, List<OptionSetting> settings, List<string> problems)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                {
                    Flatten(property.Value, key.Length == 0 ? property.Name : $"{key}:{property.Name}", origin, settings, problems);
                }
                break;
            case JsonValueKind.Null:
                break;
            case JsonValueKind.Array:
                problems.Add($"{key}: expected one value, found a list ({origin})");
                break;
            default:
                if (key.Length == 0)
                {
                    problems.Add($"{origin}: expected an object of sections, found a single value");
                    break;
                }
                settings.Add(new(key, element.ValueKind == JsonValueKind.String ? element.GetString()! : element.GetRawText(), origin));
                break;
        }
    }
}
