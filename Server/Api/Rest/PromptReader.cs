using System.Text.Json;
using Tessera.Server.Api.Operations;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads <c>prompt</c> (text or ids) or <c>messages</c> of a body.</summary>
internal static class PromptReader
{
    /// <summary>The names in errors.</summary>
    public static readonly PromptNames Names = new("prompt", "messages", "prompt");

    /// <summary>The names where ids are not taken.</summary>
    public static readonly PromptNames TextNames = new("prompt", "messages", null);

    /// <summary>Reads whichever is given; type problems are noted.</summary>
    public static PromptInput Read(JsonElement root, FieldReader fields, bool takesIds)
    {
        var chat = FieldReader.TryGet(root, "messages", out _) ? new MessagesReader(fields).Read(root) : null;
        if (!FieldReader.TryGet(root, "prompt", out var prompt))
        {
            return new(null, chat, null);
        }
        if (prompt.ValueKind == JsonValueKind.Array && takesIds)
        {
            return new(null, chat, fields.Numbers(root, "prompt"));
        }
        return new(fields.String(root, "prompt"), chat, null);
    }
}
