using System.Globalization;
using System.Text.Json;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>Reads the fields that all generating routes share: sampling, stops, number of choices.</summary>
internal static class SamplingFields
{
    /// <summary>Adds the shared fields of a body to an input.</summary>
    public static GenerationInput Read(JsonElement root, FieldReader fields, GenerationInput input) => input with
    {
        Temperature = fields.Number(root, "temperature"),
        TopP = fields.Number(root, "top_p"),
        TopK = fields.Number(root, "top_k"),
        MinP = fields.Number(root, "min_p"),
        RepetitionPenalty = fields.Number(root, "repetition_penalty"),
        FrequencyPenalty = fields.Number(root, "frequency_penalty"),
        PresencePenalty = fields.Number(root, "presence_penalty"),
        LogitBias = ReadLogitBias(root, fields),
        Seed = fields.Number(root, "seed"),
        Stop = ReadStop(root, fields),
        StopTokenIds = ReadIds(root, fields, "stop_token_ids"),
        MinTokens = fields.Number(root, "min_tokens"),
        CacheSalt = fields.String(root, "cache_salt"),
    };

    /// <summary>An array of ids; what is no id at all is noted, whether it is in the vocabulary is the engine's to check.</summary>
    public static IReadOnlyList<int>? ReadIds(JsonElement root, FieldReader fields, string name) =>
        FieldReader.TryGet(root, name, out var array) ? ReadIds(fields, array, name) : null;

    /// <summary>The ids of a value.</summary>
    public static IReadOnlyList<int>? ReadIds(FieldReader fields, JsonElement array, string name)
    {
        if (fields.NumbersIn(array, name) is not { } numbers)
        {
            return null;
        }
        var ids = new int[numbers.Count];
        for (var i = 0; i < ids.Length; i++)
        {
            if (!(Math.Floor(numbers[i]).Equals(numbers[i]) && Math.Abs(numbers[i]) <= int.MaxValue))
            {
                fields.Report($"{name}[{i}]", $"expected a token id, found {numbers[i]}");
                return null;
            }
            ids[i] = (int)numbers[i];
        }
        return ids;
    }

    private static Dictionary<int, double>? ReadLogitBias(JsonElement root, FieldReader fields)
    {
        const string Name = "logit_bias";
        if (fields.Object(root, Name) is not { } given)
        {
            return null;
        }
        var bias = new Dictionary<int, double>();
        foreach (var entry in given.EnumerateObject())
        {
            var field = $"{Name}.{Echo.Shorten(entry.Name)}";
            if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            {
                fields.Report(field, "expected a token id as the name, found another one");
                return null;
            }
            if (entry.Value.ValueKind != JsonValueKind.Number)
            {
                fields.Report(field, $"expected a number, found {FieldReader.KindOf(entry.Value)}");
                return null;
            }
            bias[id] = entry.Value.GetDouble();
        }
        return bias;
    }

    private static List<string>? ReadStop(JsonElement root, FieldReader fields)
    {
        if (!FieldReader.TryGet(root, "stop", out var stop))
        {
            return null;
        }
        if (stop.ValueKind == JsonValueKind.String)
        {
            return fields.TryText(stop, "stop", out var single) ? [single] : null;
        }
        if (stop.ValueKind == JsonValueKind.Array)
        {
            return fields.Strings(root, "stop");
        }
        fields.Report("stop", $"expected a string or an array of strings, found {FieldReader.KindOf(stop)}");
        return null;
    }
}
