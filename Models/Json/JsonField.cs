using System.Text.Json;
using System.Text.Unicode;

namespace Tessera.Models.Json;

/// <summary>One value of a JSON file together with its place, so that every error names file and JSON path.</summary>
/// <param name="File">File of the package.</param>
/// <param name="Path">JSON path, <c>$</c> for the whole document.</param>
/// <param name="Element">The value.</param>
internal readonly record struct JsonField(string File, string Path, JsonElement Element)
{
    private const int MaxDepth = 64;
    private const int QuotedCharacters = 40;

    /// <summary>Reads a document: UTF-8, no duplicate keys, no comments, bounded depth.</summary>
    /// <exception cref="ModelPackageException">The bytes are not such a document.</exception>
    public static JsonField Parse(string file, ReadOnlyMemory<byte> utf8)
    {
        if (!Utf8.IsValid(utf8.Span))
            throw new ModelPackageException(file, "$", "UTF-8 text", "bytes that are not UTF-8");
        try
        {
            var options = new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = MaxDepth };
            using var document = JsonDocument.Parse(utf8, options);
            return new JsonField(file, "$", document.RootElement.Clone());
        }
        catch (JsonException exception)
        {
            throw new ModelPackageException(file, "$", "a JSON document", $"broken JSON ({exception.Message})", exception);
        }
        catch (InvalidOperationException exception)
        {
            // The reader reports half surrogate pairs in escaped keys this way.
            throw new ModelPackageException(file, "$", "a JSON document", "text that is not Unicode", exception);
        }
    }

    /// <summary>Whether the value is JSON null.</summary>
    public bool IsNull => Element.ValueKind == JsonValueKind.Null;

    /// <summary>Whether the value is the number zero.</summary>
    public bool IsZero => Element.ValueKind == JsonValueKind.Number && Element.TryGetDouble(out var value) && value == 0;

    /// <summary>The error for this value.</summary>
    public ModelPackageException Fail(string expected, string? found = null) => new(File, Path, expected, found ?? Describe());

    /// <summary>The member <paramref name="name"/>; null when it is absent or JSON null.</summary>
    public JsonField? Optional(string name) => Member(name) is { IsNull: false } member ? member : null;

    /// <summary>The member <paramref name="name"/>, which must be there.</summary>
    public JsonField Required(string name) =>
        Member(name) ?? throw new ModelPackageException(File, PathOf(name), "a value", "no such key");

    /// <summary>Refuses keys other than <paramref name="known"/>.</summary>
    public void RefuseUnknownKeys(params ReadOnlySpan<string> known)
    {
        foreach (var member in Members())
        {
            if (!known.Contains(member.Name))
                throw new ModelPackageException(File, PathOf(member.Name), $"one of {string.Join(", ", known!)}", "an unknown key");
        }
    }

    /// <summary>Members of an object in file order.</summary>
    public IEnumerable<(string Name, JsonField Value)> Members()
    {
        if (Element.ValueKind != JsonValueKind.Object)
            throw Fail("an object");
        return Enumerate(this);

        static IEnumerable<(string, JsonField)> Enumerate(JsonField field)
        {
            foreach (var property in field.Element.EnumerateObject())
            {
                var name = field.NameOf(property);
                yield return (name, new JsonField(field.File, field.PathOf(name), property.Value));
            }
        }
    }

    /// <summary>Items of an array.</summary>
    public IEnumerable<JsonField> Items()
    {
        if (Element.ValueKind != JsonValueKind.Array)
            throw Fail("an array");
        return Enumerate(this);

        static IEnumerable<JsonField> Enumerate(JsonField field)
        {
            var index = 0;
            foreach (var item in field.Element.EnumerateArray())
                yield return new JsonField(field.File, $"{field.Path}[{index++}]", item);
        }
    }

    /// <summary>The value as text.</summary>
    public string AsString()
    {
        if (Element.ValueKind != JsonValueKind.String)
            throw Fail("a string");
        try
        {
            return Element.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw Fail("a string of whole Unicode characters", "half of a surrogate pair");
        }
    }

    /// <summary>The value as a whole number in a range.</summary>
    public int AsInt(int min = 0, int max = int.MaxValue) =>
        Element.ValueKind == JsonValueKind.Number && Element.TryGetInt32(out var value) && value >= min && value <= max
            ? value
            : throw Fail($"a whole number from {min} to {max}");

    /// <summary>The value as true or false.</summary>
    public bool AsBool() => Element.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Fail("true or false"),
    };

    /// <summary>JSON path of a member of this object.</summary>
    public string PathOf(string name) => $"{Path}.{Shorten(name)}";

    /// <summary>The value in words that fit an error line.</summary>
    public string Describe() => Element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.Undefined => "nothing",
        _ => Shorten(Element.GetRawText()),
    };

    private static string Shorten(string text) => text.Length <= QuotedCharacters ? text : text[..QuotedCharacters] + "…";

    private JsonField? Member(string name)
    {
        if (Element.ValueKind != JsonValueKind.Object)
            throw Fail("an object");
        return Element.TryGetProperty(name, out var value) ? new JsonField(File, PathOf(name), value) : null;
    }

    private string NameOf(JsonProperty property)
    {
        try
        {
            return property.Name;
        }
        catch (InvalidOperationException)
        {
            throw Fail("keys of whole Unicode characters", "half of a surrogate pair");
        }
    }
}
