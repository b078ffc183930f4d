using System.Text;
using System.Text.Json;
using Tessera.Models;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads <c>messages</c>: roles and text, the text as a string or as an array of text parts.</summary>
internal sealed class MessagesReader(FieldReader fields)
{
    private const string Field = "messages";

    /// <summary>The messages; null when they are missing or one of them is wrong, which is then reported.</summary>
    public IReadOnlyList<ChatTurn>? Read(JsonElement root)
    {
        if (!FieldReader.TryGet(root, Field, out var messages))
        {
            fields.Report(Field, "expected an array of messages, found nothing");
            return null;
        }
        if (messages.ValueKind != JsonValueKind.Array)
        {
            fields.Report(Field, $"expected an array of messages, found {FieldReader.KindOf(messages)}");
            return null;
        }
        if (messages.GetArrayLength() == 0)
        {
            fields.Report(Field, "expected at least one message, found an empty array");
            return null;
        }

        var turns = new List<ChatTurn>(messages.GetArrayLength());
        foreach (var (index, message) in messages.EnumerateArray().Index())
        {
            if (ReadMessage(message, $"{Field}[{index}]") is { } turn)
            {
                turns.Add(turn);
            }
        }
        return turns.Count == messages.GetArrayLength() ? turns : null;
    }

    private ChatTurn? ReadMessage(JsonElement message, string path)
    {
        if (message.ValueKind != JsonValueKind.Object)
        {
            fields.Report(path, $"expected an object with role and content, found {FieldReader.KindOf(message)}");
            return null;
        }
        foreach (var name in (ReadOnlySpan<string>)["tool_calls", "function_call", "audio"])
        {
            if (FieldReader.TryGet(message, name, out var value) && !UnsupportedParameters.IsEmpty(value))
            {
                fields.Report($"{path}.{name}", "is not supported by this server");
                return null;
            }
        }
        var role = ReadRole(message, $"{path}.role");
        var content = ReadContent(message, $"{path}.content");
        return role is null || content is null ? null : new ChatTurn(role, content);
    }

    /// <summary>The role of a message; null when it is missing or wrong, which is then reported.</summary>
    public string? ReadRole(JsonElement message, string path)
    {
        if (!FieldReader.TryGet(message, "role", out var value))
        {
            fields.Report(path, "expected system, user or assistant, found nothing");
            return null;
        }
        if (!fields.TryText(value, path, out var role))
        {
            return null;
        }
        switch (role)
        {
            case "system" or "user" or "assistant":
                return role;
            case "developer": // OpenAI's newer name of the same role
                return "system";
            default:
                fields.Report(path, $"expected system, user or assistant, found '{Echo.Shorten(role)}'");
                return null;
        }
    }

    private string? ReadContent(JsonElement message, string path)
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
        if (type != "text")
        {
            fields.Report($"{path}.type", $"expected 'text', found {(type is null ? "nothing" : $"'{Echo.Shorten(type)}'")}");
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
