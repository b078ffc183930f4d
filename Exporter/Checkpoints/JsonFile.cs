using System.Text.Json;
using System.Text.Unicode;

namespace Tessera.Exporter.Checkpoints;

/// <summary>
/// One JSON object of a checkpoint's file, read field by field; every error names the file, the path of the field, what was expected and what was found.
/// </summary>
internal sealed class JsonFile
{
    // Configuration files are a few kilobytes and an index of shards a few megabytes; a larger one is something else.
    private const long DefaultMaxBytes = 16 << 20;

    private readonly string _file;
    private readonly string _path;
    private readonly JsonElement _element;

    private JsonFile(string file, string path, JsonElement element)
    {
        _file = file;
        _path = path;
        _element = element;
    }

    /// <summary>Reads a file whose root is an object.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maxBytes">A larger one is refused unread.</param>
    /// <exception cref="ExportException">Missing, too long, not JSON, or not an object.</exception>
    public static JsonFile Open(string path, long maxBytes = DefaultMaxBytes)
    {
        var name = Path.GetFileName(path);
        var file = new FileInfo(path);
        if (!file.Exists)
        {
            throw new ExportException(name, "file", "a JSON file", $"nothing in {Path.GetDirectoryName(path)}");
        }

        if (file.Length > maxBytes)
        {
            throw new ExportException(name, "length", $"at most {maxBytes} bytes", $"{file.Length}");
        }

        var bytes = File.ReadAllBytes(path);
        if (!Utf8.IsValid(bytes))
        {
            throw new ExportException(name, "file", "UTF-8 text", "other bytes");
        }

        try
        {
            using var document = JsonDocument.Parse(bytes);
            var root = document.RootElement.Clone();
            return root.ValueKind == JsonValueKind.Object
                ? new JsonFile(name, "", root)
                : throw new ExportException(name, "file", "a JSON object", $"a JSON {root.ValueKind}");
        }
        catch (JsonException exception)
        {
            throw new ExportException(
                name, "file", "JSON", $"an error in line {exception.LineNumber + 1}, byte {exception.BytePositionInLine}", exception);
        }
    }

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => _element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether there is no such field, not even a null.</summary>
    public bool IsAbsent(string name) => !_element.TryGetProperty(name, out _);

    /// <summary>A whole number within bounds.</summary>
    public int Int(string name, int min, int max, int? otherwise = null)
    {
        if (otherwise is { } value && !Has(name))
        {
            return value;
        }

        var element = Get(name, $"a whole number from {min} to {max}");
        return element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out var number) && number >= min && number <= max
            ? number
            : throw Bad(name, $"a whole number from {min} to {max}");
    }

    /// <summary>A positive, finite number.</summary>
    public double Positive(string name, double? otherwise = null)
    {
        if (otherwise is { } value && !Has(name))
        {
            return value;
        }

        var element = Get(name, "a positive number");
        return element.ValueKind == JsonValueKind.Number && element.TryGetDouble(out var number) && number > 0 && double.IsFinite(number)
            ? number
            : throw Bad(name, "a positive number");
    }

    /// <summary>A finite number from 0.</summary>
    public double NotNegative(string name, double? otherwise = null)
    {
        if (otherwise is { } value && !Has(name))
        {
            return value;
        }

        var element = Get(name, "a number from 0");
        return element.ValueKind == JsonValueKind.Number && element.TryGetDouble(out var number) && number >= 0 && double.IsFinite(number)
            ? number
            : throw Bad(name, "a number from 0");
    }

    /// <summary>A truth value.</summary>
    public bool Flag(string name, bool otherwise)
    {
        if (!Has(name))
        {
            return otherwise;
        }

        var element = Get(name, "true or false");
        return element.ValueKind is JsonValueKind.True or JsonValueKind.False ? element.GetBoolean() : throw Bad(name, "true or false");
    }

    /// <summary>A text.</summary>
    public string Text(string name, string? otherwise = null)
    {
        if (otherwise is not null && !Has(name))
        {
            return otherwise;
        }

        return Get(name, "a text").ValueKind == JsonValueKind.String ? TextOf(_element.GetProperty(name), name) : throw Bad(name, "a text");
    }

    /// <summary>A list of texts; empty when the field is not there.</summary>
    public IReadOnlyList<string> Texts(string name)
    {
        if (!Has(name))
        {
            return [];
        }

        var element = Get(name, "a list of texts");
        return element.ValueKind == JsonValueKind.Array && element.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)
            ? [.. element.EnumerateArray().Select(item => TextOf(item, name))]
            : throw Bad(name, "a list of texts");
    }

    /// <summary>An object.</summary>
    public JsonFile Object(string name) =>
        Get(name, "an object").ValueKind == JsonValueKind.Object ? new JsonFile(_file, PathOf(name), _element.GetProperty(name)) : throw Bad(name, "an object");

    /// <summary>An object, or an empty one when the field is not there.</summary>
    public JsonFile OptionalObject(string name)
    {
        if (Has(name))
        {
            return Object(name);
        }

        using var empty = JsonDocument.Parse("{}");
        return new JsonFile(_file, PathOf(name), empty.RootElement.Clone());
    }

    /// <summary>A list of objects; empty when the field is not there.</summary>
    public IReadOnlyList<JsonFile> Objects(string name)
    {
        if (!Has(name))
        {
            return [];
        }

        var element = Get(name, "a list of objects");
        return element.ValueKind == JsonValueKind.Array && element.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Object)
            ? [.. element.EnumerateArray().Select((item, index) => new JsonFile(_file, $"{PathOf(name)}[{index}]", item))]
            : throw Bad(name, "a list of objects");
    }

    /// <summary>Members of this object, each a text.</summary>
    public IReadOnlyDictionary<string, string> TextMembers()
    {
        var members = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var property in _element.EnumerateObject())
        {
            var name = NameOf(property);
            members[name] = property.Value.ValueKind == JsonValueKind.String ? TextOf(property.Value, name) : throw Bad(name, "a text");
        }

        return members;
    }

    /// <summary>A whole number, or the first one of a list of them; null when there is none.</summary>
    public int? FirstInt(string name)
    {
        if (!Has(name))
        {
            return null;
        }

        var element = _element.GetProperty(name);
        var first = element.ValueKind == JsonValueKind.Array && element.GetArrayLength() > 0 ? element[0] : element;
        return first.ValueKind == JsonValueKind.Number && first.TryGetInt32(out var number) && number >= 0
            ? number
            : throw Bad(name, "a whole number from 0, or a list of them");
    }

    /// <summary>The error for a field whose value cannot be used.</summary>
    public ExportException Bad(string name, string expected) => new(_file, PathOf(name), expected, Describe(name));

    private string PathOf(string name) => _path.Length == 0 ? name : $"{_path}.{name}";

    private JsonElement Get(string name, string expected) => _element.TryGetProperty(name, out var value) ? value : throw Bad(name, expected);

    private string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException exception)
        {
            throw new ExportException(_file, _path.Length == 0 ? "file" : _path, "keys of Unicode text", "a lone surrogate", exception);
        }
    }

    private string TextOf(JsonElement element, string name)
    {
        try
        {
            return element.GetString() ?? "";
        }
        catch (InvalidOperationException exception)
        {
            throw new ExportException(_file, PathOf(name), "Unicode text", "a lone surrogate", exception);
        }
    }

    private string Describe(string name)
    {
        const int Shown = 60;
        if (!_element.TryGetProperty(name, out var value))
        {
            return "nothing";
        }

        var text = value.GetRawText();
        return text.Length <= Shown ? text : string.Concat(text.AsSpan(0, Shown), "...");
    }
}
