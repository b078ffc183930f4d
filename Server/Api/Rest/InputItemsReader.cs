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

    private readonly TextPartsReader _content = new(fields, ["input_text", "output_text", "text"], "input_text or output_text");

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
        var content = _content.Read(item, $"{path}.content");
        if (role is null || content is null)
        {
            return false;
        }
        turns.Add(new(role, content));
        return true;
    }
}
