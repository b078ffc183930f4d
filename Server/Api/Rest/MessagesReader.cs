using System.Text.Json;
using Tessera.Models;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads <c>messages</c>: roles and text, the text as a string or as an array of text parts.</summary>
internal sealed class MessagesReader(FieldReader fields)
{
    private const string Field = "messages";

    private readonly TextPartsReader _content = new(fields, ["text"], "'text'");

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
        var content = _content.Read(message, $"{path}.content");
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
}
