using System.Text.Json.Nodes;

namespace Tessera.Server.Api.Rest.Describing;

/// <summary>One field of a JSON body.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Schema">Its JSON schema without the description.</param>
/// <param name="Description">What it means.</param>
internal sealed record BodyField(string Name, JsonObject Schema, string Description)
{
    /// <summary>Whether a body must have it.</summary>
    public bool IsRequired { get; init; }

    /// <summary>The schema with the description.</summary>
    public JsonObject ToSchema()
    {
        var schema = Schema.DeepClone().AsObject();
        schema["description"] = Description;
        return schema;
    }

    /// <summary>A text, one of some words when there are any.</summary>
    public static BodyField Text(string name, string description, params string[] words)
    {
        var schema = new JsonObject { ["type"] = "string" };
        if (words.Length > 0)
        {
            schema["enum"] = new JsonArray([.. words.Select(word => (JsonNode)word)]);
        }
        return new(name, schema, description);
    }

    /// <summary>A number.</summary>
    public static BodyField Number(string name, string description, double? low = null, double? high = null) => Numeric(name, "number", description, low, high);

    /// <summary>A whole number.</summary>
    public static BodyField Whole(string name, string description, double? low = null, double? high = null) => Numeric(name, "integer", description, low, high);

    /// <summary>true or false.</summary>
    public static BodyField Flag(string name, string description) => new(name, new() { ["type"] = "boolean" }, description);

    /// <summary>An array.</summary>
    public static BodyField List(string name, JsonObject item, string description) => new(name, ArrayOf(item), description);

    /// <summary>An object with known fields.</summary>
    public static BodyField Object(string name, string description, params BodyField[] fields) => new(name, ObjectOf(fields), description);

    /// <summary>Either of several forms.</summary>
    public static BodyField Either(string name, string description, params JsonObject[] forms) =>
        new(name, new() { ["anyOf"] = new JsonArray([.. forms]) }, description);

    /// <summary>Schema of a type.</summary>
    public static JsonObject Type(string type) => new() { ["type"] = type };

    /// <summary>Schema of an array.</summary>
    public static JsonObject ArrayOf(JsonObject item) => new() { ["type"] = "array", ["items"] = item };

    /// <summary>Schema of an object with known fields.</summary>
    public static JsonObject ObjectOf(IEnumerable<BodyField> fields)
    {
        var all = fields.ToList();
        var schema = new JsonObject
        {
            ["type"] = "object",
            ["properties"] = new JsonObject(all.Select(field => KeyValuePair.Create<string, JsonNode?>(field.Name, field.ToSchema()))),
        };
        var required = all.Where(field => field.IsRequired).Select(field => (JsonNode)field.Name).ToArray();
        if (required.Length > 0)
        {
            schema["required"] = new JsonArray(required);
        }
        return schema;
    }

    private static BodyField Numeric(string name, string type, string description, double? low, double? high)
    {
        var schema = Type(type);
        if (low is not null)
        {
            schema["minimum"] = low;
        }
        if (high is not null)
        {
            schema["maximum"] = high;
        }
        return new(name, schema, description);
    }
}
