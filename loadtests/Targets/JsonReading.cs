using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>Reads fields that may be absent or of another type: what a server sends is not trusted.</summary>
internal static class JsonReading
{
    /// <summary>The object under a name.</summary>
    public static bool TryGetObject(this JsonElement element, string name, out JsonElement value) => TryGet(element, name, JsonValueKind.Object, out value);

    /// <summary>The text under a name; null when absent or something else.</summary>
    public static string? ReadString(this JsonElement element, string name) =>
        TryGet(element, name, JsonValueKind.String, out var value) ? TextOf(value) : null;

    /// <summary>The 32-bit whole number under a name; null when absent or something else.</summary>
    public static int? ReadInt(this JsonElement element, string name) =>
        element.ReadLong(name) is { } number and >= int.MinValue and <= int.MaxValue ? (int)number : null;

    /// <summary>The 64-bit whole number under a name; null when absent or something else.</summary>
    public static long? ReadLong(this JsonElement element, string name) =>
        TryGet(element, name, JsonValueKind.Number, out var value) && value.TryGetInt64(out var number) ? number : null;

    private static bool TryGet(JsonElement element, string name, JsonValueKind kind, out JsonElement value)
    {
        value = default;
        return element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out value) && value.ValueKind == kind;
    }

    private static string? TextOf(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // An escape of half a surrogate pair.
            return null;
        }
    }
}

/// <summary>OpenAI's error object.</summary>
internal static class ErrorBody
{
    private const int MaxCharacters = 300;

    /// <summary>One line: message and, when given, the parameter at fault.</summary>
    /// <param name="error">The object under <c>error</c>.</param>
    public static string Describe(JsonElement error)
    {
        var message = error.ReadString("message") ?? "an error without a message";
        return OneLine(error.ReadString("param") is { Length: > 0 } param ? $"{message} (param: {param})" : message);
    }

    /// <summary>One line for an HTTP error whose body may or may not be an error object.</summary>
    public static string Describe(int status, string body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            if (document.RootElement.TryGetObject("error", out var error))
            {
                return $"HTTP {status}: {Describe(error)}";
            }
        }
        catch (JsonException)
        {
            // A proxy's page, for example: shown as it is.
        }

        return body.AsSpan().IsWhiteSpace() ? $"HTTP {status}" : $"HTTP {status}: {OneLine(body)}";
    }

    /// <summary>Foreign text on one line of limited length.</summary>
    public static string OneLine(string text)
    {
        var line = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return line.Length <= MaxCharacters ? line : line[..MaxCharacters] + "...";
    }
}
