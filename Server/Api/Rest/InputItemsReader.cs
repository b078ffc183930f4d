using System.Text;
using System.Text.Json;
using Tessera.Models;

namespace Tessera.Server.Api.Rest;

/// <summary>
/// Reads <c>input</c> of the responses route: a text, or items. Reasoning items that a client sends back are passed over, as the chat format has no place
/// for earlier reasoning.
/// </summary>
internal sealed class InputItemsReader(FieldReader fields)
{
    private const string Field = "input";

    /// <summary>The messages, the instructions first; null when something is missing or wrong, which is then reported.</summary>
    public IReadOnlyList<ChatTurn>? Read(JsonElement root, string? instructions)
    {
        List<ChatTurn> turns = instructions is null ? [] : [new("system", instructions)];
        if (!FieldReader.TryGet(root, Field, out var input))
        {
            fields.Report(Field, "expected a string or an array of items, found nothing");
            return null;
        }
        if (input.ValueKind == JsonValueKind.String)
        {
            return fields.TryText(input, Field, out var text) ? [.. turns, new("user", text)] : null;
        }
        if (input.ValueKind != JsonValueKind.Array || input.GetArrayLength() == 0)
        {
            fields.Report(Field, $"expected a string or an array of items, found {(input.ValueKind == JsonValueKind.Array ? "an empty array" : FieldReader.KindOf(input))}");
            return null;
        }
        foreach (var (index, item) in input.EnumerateArray().Index())
        {
            if (!ReadItem(item, $"{Field}[{index}]", turns))
            {
                return null;
            }
        }
        return turns;
    }

    private bool ReadItem(JsonElement item, string path, List<ChatTurn> turns)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            fields.Report(path, $"expected an object, found {FieldReader.KindOf(item)}");
            return false;
        }
        var type = FieldReader.TryGet(item, "type", out _) ? fields.String(item, "type", $"{path}.type") : "message";
        if (type == "reasoning")
        {
            return true;
        }
        if (type != "message")
        {
            fields.Report($"{path}.type", $"expected message or reasoning, found '{Echo.Shorten(type ?? "")}'");
            return false;
        }
        var role = new MessagesReader(fields).ReadRole(item, $"{path}.role");
        var content = ReadContent(item, $"{path}.content");
        if (role is null || content is null)
        {
            return false;
        }
        turns.Add(new(role, content));
        return true;
    }

    private string? ReadContent(JsonElement item, string path)
    {
        if (FieldReader.TryGet(item, "content", out var content) && content.ValueKind == JsonValueKind.String)
        {
            return fields.TryText(content, path, out var text) ? text : null;
        }
        if (content.ValueKind != JsonValueKind.Array)
        {
            var found = content.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? "nothing" : FieldReader.KindOf(content);
            fields.Report(path, $"expected a string or an array of text parts, found {found}");
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
        if (type is not ("input_text" or "output_text" or "text"))
        {
            fields.Report($"{path}.type", $"expected input_text or output_text, found {(type is null ? "nothing" : $"'{Echo.Shorten(type)}'")}");
            return null;
        }
        if (fields.String(part, "text", $"{path}.text") is { } text)
        {
            return text;
        }
        if (!FieldReader.TryGet(part, "text", out _))
        {
            fields.Report($"{path}.text", "expected a string, found nothing");
        }
        return null;
    }
}
