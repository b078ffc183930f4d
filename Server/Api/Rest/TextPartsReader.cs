using System.Text;
using System.Text.Json;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads the content of a message: a text, or an array of text parts, which are joined.</summary>
/// <param name="fields">Where problems go.</param>
/// <param name="types">Types that a part of text may have.</param>
/// <param name="expected">The types in the words of an error message.</param>
internal sealed class TextPartsReader(FieldReader fields, IReadOnlyList<string> types, string expected)
{
    /// <summary>The text of <c>content</c>; null when it is missing or wrong, which is then reported.</summary>
    /// <param name="message">The object that has it.</param>
    /// <param name="path">Its name in errors.</param>
    public string? Read(JsonElement message, string path)
    {
        if (!FieldReader.TryGet(message, "content", out var content))
        {
            fields.Report(path, "expected a string or an array of text parts, found nothing");
            return null;
        }
        if (content.ValueKind == JsonValueKind.String)
        {
            return fields.TryText(content, path, out var text) ? text : null;
        }
        if (content.ValueKind != JsonValueKind.Array)
        {
            fields.Report(path, $"expected a string or an array of text parts, found {FieldReader.KindOf(content)}");
            return null;
        }

        var joined = new StringBuilder();
        foreach (var (index, part) in content.EnumerateArray().Index())
        {
            if (ReadPart(part, $"{path}[{index}]") is not { } text)
            {
                return null;
            }
            joined.Append(text);
        }
        return joined.ToString();
    }

    private string? ReadPart(JsonElement part, string path)
    {
        if (part.ValueKind != JsonValueKind.Object)
        {
            fields.Report(path, $"expected an object with type and text, found {FieldReader.KindOf(part)}");
            return null;
        }
        var type = fields.String(part, "type", $"{path}.type");
        if (type is null || !types.Contains(type))
        {
            fields.Report($"{path}.type", $"expected {expected}, found {(type is null ? "nothing" : $"'{Echo.Shorten(type)}'")}");
            return null;
        }
        if (!FieldReader.TryGet(part, "text", out var value))
        {
            fields.Report($"{path}.text", "expected a string, found nothing");
            return null;
        }
        return fields.TryText(value, $"{path}.text", out var text) ? text : null;
    }
}
