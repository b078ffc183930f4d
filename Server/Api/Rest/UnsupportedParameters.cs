using System.Text.Json;

namespace Tessera.Server.Api.Rest;

/// <summary>Parameters of OpenAI's contract and of other servers whose silent loss would change what a client gets: refused by name, unless they say what happens anyway.</summary>
internal static class UnsupportedParameters
{
    private const string NotSupported = "is not supported by this server";

    /// <summary>Parameters that are fine as long as they are empty.</summary>
    private static readonly string[] OnlyEmpty =
    [
        "tools", "functions", "audio", "web_search_options", "prediction", "guided_json", "guided_regex", "guided_grammar", "guided_choice",
        "structured_outputs", "grammar", "json_schema", "chat_template", "chat_template_kwargs", "bad_words", "allowed_token_ids", "truncate_prompt_tokens",
        "documents",
    ];

    /// <summary>Numbers that are fine as long as they have the value that changes nothing.</summary>
    private static readonly (string Name, double Neutral)[] OnlyNeutral = [("best_of", 1), ("length_penalty", 1), ("prompt_logprobs", 0), ("typical_p", 1)];

    /// <summary>Flags that are fine as long as they are false.</summary>
    private static readonly string[] OnlyFalse =
        ["echo", "ignore_eos", "use_beam_search", "include_stop_str_in_output", "continue_final_message"];

    /// <summary>Reports every parameter that would have to be ignored on any generating route.</summary>
    public static void Check(JsonElement root, FieldReader fields)
    {
        CheckEmpty(root, OnlyEmpty, fields);
        foreach (var (name, neutral) in OnlyNeutral)
        {
            CheckNeutral(root, name, neutral, fields);
        }
        foreach (var name in OnlyFalse)
        {
            CheckFalse(root, name, fields);
        }
        CheckWord(root, "tool_choice", ["none", "auto"], fields);
        CheckWord(root, "function_call", ["none", "auto"], fields);
        CheckWord(root, "service_tier", ["auto", "default"], fields);
        CheckResponseFormat(root, fields);
        CheckModalities(root, fields);
    }

    /// <summary>Those of chat completions alone.</summary>
    public static void CheckChat(JsonElement root, FieldReader fields) => CheckWord(root, "verbosity", ["medium"], fields);

    /// <summary>Those of completions alone.</summary>
    public static void CheckCompletion(JsonElement root, FieldReader fields) => CheckEmpty(root, ["suffix"], fields);

    /// <summary>Those of responses alone.</summary>
    public static void CheckResponses(JsonElement root, FieldReader fields)
    {
        foreach (var name in (ReadOnlySpan<string>)["previous_response_id", "conversation"])
        {
            if (FieldReader.TryGet(root, name, out var value) && !IsEmpty(value))
            {
                fields.Report(name, $"{NotSupported}: no response is stored; send the whole conversation as input");
            }
        }
        foreach (var name in (ReadOnlySpan<string>)["store", "background"])
        {
            CheckFalse(root, name, fields);
        }
        CheckEmpty(root, ["prompt", "max_tool_calls", "context_management"], fields);
        CheckNeutral(root, "n", 1, fields);
        CheckWord(root, "truncation", ["disabled"], fields);
        if (fields.Object(root, "text") is { } text)
        {
            if (fields.Object(text, "format", "text.format") is { } format && fields.String(format, "type", "text.format.type") is { } type && type != "text")
            {
                fields.Report("text.format", $"{NotSupported} with any type but text, found '{Echo.Shorten(type)}'");
            }
            CheckWord(text, "verbosity", ["medium"], fields, "text.verbosity");
        }
        if (fields.Object(root, "stream_options") is { } options
            && fields.Boolean(options, "include_obfuscation", "stream_options.include_obfuscation") is true)
        {
            fields.Report("stream_options.include_obfuscation", $"{NotSupported} with any value but false, found true");
        }
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

    private static void CheckEmpty(JsonElement root, IEnumerable<string> names, FieldReader fields)
    {
        foreach (var name in names)
        {
            if (FieldReader.TryGet(root, name, out var value) && !IsEmpty(value))
            {
                fields.Report(name, NotSupported);
            }
        }
    }

    private static void CheckFalse(JsonElement root, string name, FieldReader fields)
    {
        if (fields.Boolean(root, name) is true)
        {
            fields.Report(name, $"{NotSupported} with any value but false, found true");
        }
    }

    private static void CheckNeutral(JsonElement root, string name, double neutral, FieldReader fields)
    {
        if (fields.Number(root, name) is { } number && !number.Equals(neutral))
        {
            fields.Report(name, $"{NotSupported} with any value but {neutral}, found {number}");
        }
    }

    private static void CheckWord(JsonElement root, string name, string[] allowed, FieldReader fields, string? path = null)
    {
        if (FieldReader.TryGet(root, name, out var value) && !(value.ValueKind == JsonValueKind.String && allowed.Any(a => value.ValueEquals(a))))
        {
            fields.Report(path ?? name, $"{NotSupported} with any value but {string.Join(", ", allowed)}");
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
