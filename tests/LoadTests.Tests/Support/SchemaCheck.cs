using System.Text.Json;

namespace Tessera.LoadTests.Tests.Support;

/// <summary>Checks a JSON value against the parts of JSON Schema that the report's schema uses; any other keyword fails the check.</summary>
public static class SchemaCheck
{
    private static readonly HashSet<string> Known = ["$schema", "title", "type", "format", "properties", "required", "items"];

    /// <summary>What is wrong, one line each; a property that the schema does not have counts too.</summary>
    public static IEnumerable<string> Problems(JsonElement value, JsonElement schema, string place = "$")
    {
        foreach (var keyword in schema.EnumerateObject().Where(keyword => !Known.Contains(keyword.Name)))
        {
            yield return $"{place}: the schema uses {keyword.Name}, which this check does not know";
        }

        var type = schema.GetProperty("type");
        var types = type.ValueKind == JsonValueKind.Array ? type.EnumerateArray().Select(entry => entry.GetString()!).ToList() : [type.GetString()!];
        if (!types.Any(name => Is(value, name)))
        {
            yield return $"{place}: expected {string.Join(" or ", types)}, found {value.ValueKind}";
            yield break;
        }

        var inner = value.ValueKind switch
        {
            JsonValueKind.Object => ObjectProblems(value, schema, place),
            JsonValueKind.Array => value.EnumerateArray().SelectMany((item, i) => Problems(item, schema.GetProperty("items"), $"{place}[{i}]")),
            _ => [],
        };
        foreach (var problem in inner)
        {
            yield return problem;
        }
    }

    private static IEnumerable<string> ObjectProblems(JsonElement value, JsonElement schema, string place)
    {
        var properties = schema.GetProperty("properties");
        foreach (var required in schema.GetProperty("required").EnumerateArray().Where(name => !value.TryGetProperty(name.GetString()!, out _)))
        {
            yield return $"{place}: {required} is missing";
        }

        foreach (var property in value.EnumerateObject())
        {
            if (!properties.TryGetProperty(property.Name, out var expected))
            {
                yield return $"{place}: {property.Name} is not in the schema";
                continue;
            }

            foreach (var problem in Problems(property.Value, expected, $"{place}.{property.Name}"))
            {
                yield return problem;
            }
        }
    }

    private static bool Is(JsonElement value, string type) => type switch
    {
        "object" => value.ValueKind == JsonValueKind.Object,
        "array" => value.ValueKind == JsonValueKind.Array,
        "string" => value.ValueKind == JsonValueKind.String,
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "null" => value.ValueKind == JsonValueKind.Null,
        "number" => value.ValueKind == JsonValueKind.Number,
        "integer" => value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out _),
        _ => false,
    };
}
