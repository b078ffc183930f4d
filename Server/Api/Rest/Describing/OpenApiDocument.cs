using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api.Rest.Describing;

/// <summary>
/// Builds the OpenAPI 3.1 document from the table of routes: answers from the types that are serialised, bodies from the fields that are read. So the document
/// cannot say what the server does not do.
/// </summary>
internal static partial class OpenApiDocument
{
    private const string KeyScheme = "apiKey";

    private static readonly JsonSchemaExporterOptions SchemaOptions = new() { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = MarkRequired };

    // Any route can meet these.
    private static readonly ErrorKind[] CommonErrors =
        [ErrorKind.InvalidArgument, ErrorKind.Unauthenticated, ErrorKind.RateLimited, ErrorKind.Unavailable, ErrorKind.Internal];
    private static readonly ErrorKind[] BodyErrors = [ErrorKind.InvalidBody, ErrorKind.TooLarge, ErrorKind.UnsupportedMediaType];

    /// <summary>Builds the document.</summary>
    public static JsonObject Create(IReadOnlyList<RestRoute> routes)
    {
        var schemas = new JsonObject();
        var paths = new JsonObject();
        foreach (var route in routes.Where(route => route.About is not null))
        {
            paths[PathOf(route)] = new JsonObject { [route.Methods[0].ToLowerInvariant()] = Operation(route, route.About!, schemas) };
        }
        return new()
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Tessera",
                ["version"] = ServerCommand.Version,
                ["description"] = "Inference for language models that reason in latent discrete tokens. Compatible with OpenAI's contract where that has one.",
                ["license"] = new JsonObject { ["name"] = "MIT", ["identifier"] = "MIT" },
            },
            ["servers"] = new JsonArray(new JsonObject { ["url"] = "/" }),
            ["security"] = new JsonArray(new JsonObject { [KeyScheme] = new JsonArray() }),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = schemas,
                ["securitySchemes"] = new JsonObject { [KeyScheme] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" } },
            },
        };
    }

    /// <summary>Path of a route as the document writes it.</summary>
    public static string PathOf(RestRoute route) => CatchAll().Replace(route.Pattern, "{$1}");

    private static JsonObject Operation(RestRoute route, RouteDescription about, JsonObject schemas)
    {
        var operation = new JsonObject { ["operationId"] = about.OperationId, ["summary"] = about.Summary };
        var parameters = CatchAll().Matches(route.Pattern).Select(match => (JsonNode)new JsonObject
        {
            ["name"] = match.Groups[1].Value,
            ["in"] = "path",
            ["required"] = true,
            ["schema"] = BodyField.Type("string"),
        }).ToArray();
        if (parameters.Length > 0)
        {
            operation["parameters"] = new JsonArray(parameters);
        }
        if (about.Body.Count > 0)
        {
            operation["requestBody"] = new JsonObject { ["required"] = true, ["content"] = Json(BodyField.ObjectOf(about.Body)) };
        }
        if (route.IsOpen)
        {
            operation["security"] = new JsonArray();
        }
        operation["responses"] = Responses(about, schemas);
        return operation;
    }

    private static JsonObject Responses(RouteDescription about, JsonObject schemas)
    {
        var content = about.Answer is { } answer ? Json(Reference(answer, schemas))
            : new JsonObject { [about.OtherMediaType ?? "application/octet-stream"] = new JsonObject() };
        if (about.StreamedEvent is { } happened)
        {
            content["text/event-stream"] = new JsonObject { ["schema"] = Reference(happened, schemas) };
        }
        var responses = new JsonObject { ["200"] = new JsonObject { ["description"] = about.Summary, ["content"] = content } };
        var kinds = CommonErrors.Concat(about.Errors).Concat(about.Body.Count > 0 ? BodyErrors : []);
        foreach (var errors in kinds.Select(ErrorCatalog.Get).GroupBy(entry => entry.HttpStatus).OrderBy(group => group.Key))
        {
            responses[errors.Key.ToString()] = new JsonObject
            {
                ["description"] = string.Join(", ", errors.Select(entry => entry.Code)),
                ["content"] = Json(Reference(RestJson.Wire.ErrorBody, schemas)),
            };
        }
        return responses;
    }

    private static JsonObject Json(JsonObject schema) => new() { ["application/json"] = new JsonObject { ["schema"] = schema } };

    private static JsonObject Reference(JsonTypeInfo type, JsonObject schemas)
    {
        var name = type.Type.Name;
        if (!schemas.ContainsKey(name))
        {
            schemas[name] = Rooted(type.GetJsonSchemaAsNode(SchemaOptions), $"#/components/schemas/{name}");
        }
        return new() { ["$ref"] = $"#/components/schemas/{name}" };
    }

    // What is null is left out, unless a property says otherwise; all else is always there.
    private static JsonNode MarkRequired(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (schema is JsonObject fields && fields.ContainsKey("properties"))
        {
            var required = context.TypeInfo.Properties.Where(property => !property.IsGetNullable || IsSentAsNull(property)).Select(property => (JsonNode)property.Name);
            fields["required"] = new JsonArray([.. required]);
        }
        return schema;
    }

    private static bool IsSentAsNull(JsonPropertyInfo property) =>
        property.AttributeProvider?.GetCustomAttributes(typeof(JsonIgnoreAttribute), inherit: true) is [JsonIgnoreAttribute { Condition: JsonIgnoreCondition.Never }, ..];

    // A type that comes a second time is a reference from the schema's root, which is no longer the document's.
    private static JsonNode Rooted(JsonNode schema, string root)
    {
        foreach (var node in Descendants(schema).OfType<JsonObject>())
        {
            if ((string?)node["$ref"] is { } reference)
            {
                node["$ref"] = root + reference[1..];
            }
        }
        return schema;
    }

    private static IEnumerable<JsonNode?> Descendants(JsonNode? node) => node switch
    {
        JsonObject fields => fields.ToList().SelectMany(field => Descendants(field.Value)).Prepend(node),
        JsonArray items => items.SelectMany(Descendants),
        _ => [],
    };

    [GeneratedRegex(@"\{\*{0,2}(\w+)\}")]
    private static partial Regex CatchAll();
}
