using System.Text.Json;

namespace Tessera.Server.Api.Rest;

/// <summary>Parameters of OpenAI's contract whose silent loss would change what a client gets: refused by name, unless they say what happens anyway.</summary>
internal static class UnsupportedParameters
{
    private const string NotSupported = "is not supported by this server";

    /// <summary>Parameters that are fine as long as they are empty.</summary>
    private static readonly string[] OnlyEmpty =
    [
        "tools", "functions", "logit_bias", "audio", "web_search_options", "stop_token_ids",
        "guided_json", "guided_regex", "guided_grammar", "chat_template_kwargs",
    ];

    /// <summary>Numbers that are fine as long as they have the value that changes nothing.</summary>
    private static readonly (string Name, double Neutral)[] OnlyNeutral =
    [
        ("n", 1), ("frequency_penalty", 0), ("presence_penalty", 0), ("top_logprobs", 0),
        ("repetition_penalty", 1), ("min_p", 0), ("min_tokens", 0), ("best_of", 1),
    ];

    /// <summary>Flags that are fine as long as they are false.</summary>
    private static readonly string[] OnlyFalse = ["logprobs", "echo", "ignore_eos"];

    /// <summary>Reports every parameter that would have to be ignored.</summary>
    public static void Check(JsonElement root, FieldReader fields)
    {
        foreach (var name in OnlyEmpty)
        {
            if (FieldReader.TryGet(root, name, out var value) && !IsEmpty(value))
            {
                fields.Report(name, NotSupported);
            }
        }
        foreach (var (name, neutral) in OnlyNeutral)
        {
            if (fields.Number(root, name) is { } number && !number.Equals(neutral))
            {
                fields.Report(name, $"{NotSupported} with any value but {neutral}, found {number}");
            }
        }
        foreach (var name in OnlyFalse)
        {
            if (fields.Boolean(root, name) is true)
            {
                fields.Report(name, $"{NotSupported} with any value but false, found true");
            }
        }
        CheckChoice(root, "tool_choice", ["none", "auto"], fields);
        CheckChoice(root, "function_call", ["none", "auto"], fields);
        CheckResponseFormat(root, fields);
        CheckModalities(root, fields);
    }

    /// <summary>Whether a value says nothing: an empty array, object or string.</summary>
    public static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        JsonValueKind.String => value.ValueEquals(""),
        JsonValueKind.Null => true,
        _ => false,
    };

    private static void CheckChoice(JsonElement root, string name, string[] allowed, FieldReader fields)
    {
        if (FieldReader.TryGet(root, name, out var value) && !(value.ValueKind == JsonValueKind.String && allowed.Any(a => value.ValueEquals(a))))
        {
            fields.Report(name, NotSupported);
        }
    }

    private static void CheckResponseFormat(JsonElement root, FieldReader fields)
    {
        if (fields.Object(root, "response_format") is { } format
            && fields.String(format, "type", "response_format.type") is { } type && type != "text")
        {
            fields.Report("response_format", $"{NotSupported} with any type but text, found '{Echo.Shorten(type)}'");
        }
    }

    private static void CheckModalities(JsonElement root, FieldReader fields)
    {
        if (!FieldReader.TryGet(root, "modalities", out var value))
        {
            return;
        }
        var textOnly = value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(m => m.ValueKind == JsonValueKind.String && m.ValueEquals("text"));
        if (!textOnly)
        {
            fields.Report("modalities", $"{NotSupported} with any value but [\"text\"]");
        }
    }
}
