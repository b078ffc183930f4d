using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads typed fields of JSON objects and notes what has the wrong type; <c>null</c> counts as not given.</summary>
internal sealed class FieldReader(List<FieldProblem> problems)
{
    /// <summary>Notes a problem.</summary>
    public void Report(string field, string message) => problems.Add(new(field, message));

    /// <summary>Whether a field of an object is given.</summary>
    public static bool TryGet(JsonElement parent, string name, out JsonElement value) =>
        parent.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>A number; infinite when its digits are too large for one, which later checks name.</summary>
    public double? Number(JsonElement parent, string name, string? path = null)
    {
        if (!TryGet(parent, name, out var value))
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Number)
        {
            return value.GetDouble();
        }
        Report(path ?? name, $"expected a number, found {KindOf(value)}");
        return null;
    }

    /// <summary>A truth value.</summary>
    public bool? Boolean(JsonElement parent, string name, string? path = null)
    {
        if (!TryGet(parent, name, out var value))
        {
            return null;
        }
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return value.GetBoolean();
        }
        Report(path ?? name, $"expected true or false, found {KindOf(value)}");
        return null;
    }

    /// <summary>A text.</summary>
    public string? String(JsonElement parent, string name, string? path = null) =>
        TryGet(parent, name, out var value) && TryText(value, path ?? name, out var text) ? text : null;

    /// <summary>An object.</summary>
    public JsonElement? Object(JsonElement parent, string name, string? path = null)
    {
        if (!TryGet(parent, name, out var value))
        {
            return null;
        }
        if (value.ValueKind == JsonValueKind.Object)
        {
            return value;
        }
        Report(path ?? name, $"expected an object, found {KindOf(value)}");
        return null;
    }

    /// <summary>An array of numbers.</summary>
    public List<double>? Numbers(JsonElement parent, string name) => TryGet(parent, name, out var array) ? NumbersIn(array, name) : null;

    /// <summary>The numbers of a value; notes a problem when it is no array of numbers.</summary>
    public List<double>? NumbersIn(JsonElement array, string path) => Items(array, path, "numbers", ReadNumber)?.ConvertAll(number => number!.Value);

    /// <summary>An array of texts.</summary>
    public List<string>? Strings(JsonElement parent, string name) => TryGet(parent, name, out var array)
        ? Items(array, name, "strings", (item, at) => TryText(item, at, out var text) ? text : null)?.ConvertAll(text => text!)
        : null;

    /// <summary>The text of a value; notes a problem when it is none.</summary>
    public bool TryText(JsonElement value, string path, [NotNullWhen(true)] out string? text)
    {
        text = null;
        if (value.ValueKind != JsonValueKind.String)
        {
            Report(path, $"expected a string, found {KindOf(value)}");
            return false;
        }
        try
        {
            text = value.GetString()!;
            return true;
        }
        catch (InvalidOperationException)
        {
            // An escape such as \ud800 without its second half is JSON, but no text.
            Report(path, "expected Unicode text, found half of a surrogate pair");
            return false;
        }
    }

    private double? ReadNumber(JsonElement item, string path)
    {
        if (item.ValueKind == JsonValueKind.Number)
        {
            return item.GetDouble();
        }
        Report(path, $"expected a number, found {KindOf(item)}");
        return null;
    }

    // The first item of the wrong type is reported; an array of a million of them is one mistake.
    private List<T?>? Items<T>(JsonElement array, string path, string kind, Func<JsonElement, string, T?> read)
    {
        if (array.ValueKind != JsonValueKind.Array)
        {
            Report(path, $"expected an array of {kind}, found {KindOf(array)}");
            return null;
        }
        var items = new List<T?>(array.GetArrayLength());
        foreach (var element in array.EnumerateArray())
        {
            if (read(element, $"{path}[{items.Count}]") is not { } item)
            {
                return null;
            }
            items.Add(item);
        }
        return items;
    }

    /// <summary>What a value is, in words; never its content.</summary>
    public static string KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };
}
