using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Tessera.Server.Api.Rest;
using Tessera.Server.Api.Rest.Describing;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>The document against the server, and against the OpenAPI 3.1 specification.</summary>
public sealed partial class OpenApiTests(OpenApiTests.Shared shared) : IClassFixture<OpenApiTests.Shared>
{
    private readonly TestServer _server = shared.Server;

    /// <summary>Valid bodies without the optional fields.</summary>
    private static readonly Dictionary<string, string> Bodies = new()
    {
        ["/v1/chat/completions"] = TestServer.Body(),
        ["/v1/completions"] = """{"prompt":"Tom?"}""",
        ["/v1/responses"] = """{"input":"Tom?"}""",
        ["/tokenize"] = """{"prompt":"Tom?"}""",
        ["/detokenize"] = """{"tokens":[3]}""",
        ["/v1/latents/decode"] = """{"prompt":"Tom?","codes":[0]}""",
        ["/v1/latents/encode"] = """{"prompt":"Tom?","steps":["Tom is a wumpus."]}""",
    };

    /// <summary>Every field of every body that the document knows.</summary>
    public static TheoryData<string, string> Fields()
    {
        var fields = new TheoryData<string, string>();
        (string Path, IReadOnlyList<BodyField> Body)[] routes =
        [
            ("/v1/chat/completions", BodyFields.Chat), ("/v1/completions", BodyFields.Completion), ("/v1/responses", BodyFields.Response),
            ("/tokenize", BodyFields.Tokenize), ("/detokenize", BodyFields.Detokenize), ("/v1/latents/decode", BodyFields.DecodeLatents),
            ("/v1/latents/encode", BodyFields.EncodeTrace),
        ];
        foreach (var (path, body) in routes)
        {
            foreach (var field in body.SelectMany(Named))
            {
                fields.Add(path, field);
            }
        }

        return fields;
    }

    [Fact]
    public async Task Document_EveryRouteButThePage_IsInItWithItsMethod()
    {
        var document = await DocumentAsync();

        var routes = RestRoutes.Create(_server.Host.Services).Where(route => route.Pattern != "/" && !route.Pattern.StartsWith("/page/", StringComparison.Ordinal)).ToList();
        Assert.Equal(
            routes.Select(route => $"{route.Methods[0]} {OpenApiDocument.PathOf(route)}").Order(StringComparer.Ordinal),
            document["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject().Select(operation => $"{operation.Key.ToUpperInvariant()} {path.Key}")).Order(StringComparer.Ordinal));
        Assert.Equal(Bodies.Keys.Order(), routes.Where(route => route.About!.Body.Count > 0).Select(route => route.Pattern).Order());
    }

    [Fact]
    public async Task Document_AllOfIt_IsValidOpenApi31()
    {
        var document = await DocumentAsync();

        Assert.Equal("3.1.0", (string?)document["openapi"]);
        Assert.NotNull(document["info"]!["title"]);
        Assert.NotNull(document["info"]!["version"]);
        var ids = new List<string>();
        foreach (var (path, item) in document["paths"]!.AsObject())
        {
            Assert.StartsWith("/", path, StringComparison.Ordinal);
            foreach (var (method, operation) in item!.AsObject())
            {
                Assert.Contains(method, (string[])["get", "post"]);
                ids.Add((string)operation!["operationId"]!);
                var inPath = PathParameter().Matches(path).Select(match => match.Groups[1].Value);
                Assert.Equal(inPath, (operation["parameters"]?.AsArray() ?? []).Select(parameter => (string)parameter!["name"]!));
                Assert.All(operation["responses"]!.AsObject(), response => Assert.NotNull(response.Value!["description"]));
                Assert.True(operation["responses"]!.AsObject().ContainsKey("200"));
            }
        }

        Assert.Equal(ids.Count, ids.Distinct().Count());
        foreach (var reference in Nodes(document).Select(node => (string?)(node as JsonObject)?["$ref"]).Where(reference => reference is not null))
        {
            Assert.StartsWith("#/", reference, StringComparison.Ordinal);
            Assert.NotNull(reference![2..].Split('/').Aggregate<string, JsonNode?>(document, (node, part) => node?[part.Replace("~1", "/", StringComparison.Ordinal)]));
        }
        Assert.All(Nodes(document).Select(node => (node as JsonObject)?["type"]).Where(type => type is JsonValue), type => Assert.True(IsType(type!), type!.ToJsonString()));
    }

    [Theory]
    [MemberData(nameof(Fields))]
    public async Task Post_DocumentedFieldOfAWrongType_IsNamed(string path, string field)
    {
        var parts = field.Split('.');
        var about = RestRoutes.Create(_server.Host.Services).Single(route => route.Pattern == path).About!;
        var schema = parts.Skip(1).Aggregate(about.Body.Single(known => known.Name == parts[0]).Schema, (parent, part) => parent["properties"]![part]!.AsObject());
        var body = JsonNode.Parse(Bodies[path])!.AsObject();
        var isMessages = field == "messages" && path != "/v1/chat/completions";
        if (isMessages)
        {
            body.Remove("prompt");
        }
        if (field == "stream_options" || parts[0] == "stream_options")
        {
            body["stream"] = true;
        }
        var parent = parts.Length == 1 ? body : (JsonObject)(body[parts[0]] = new JsonObject());
        parent[parts[^1]] = WrongValue(schema);

        using var response = await _server.PostToAsync(path, body.ToJsonString());

        await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", field);
    }

    [Theory]
    [InlineData("/v1/chat/completions", "ChatCompletion")]
    [InlineData("/v1/completions", "TextCompletion")]
    [InlineData("/v1/responses", "ResponseBody")]
    [InlineData("/tokenize", "TokenizeBody")]
    [InlineData("/detokenize", "DetokenizeBody")]
    [InlineData("/v1/latents/decode", "DecodedLatents")]
    [InlineData("/v1/latents/encode", "EncodedLatents")]
    [InlineData("/info", "ServerInfo")]
    [InlineData("/version", "VersionBody")]
    [InlineData("/v1/models", "ModelList")]
    public async Task Answer_AllFields_AreInTheSchemaAndTheRequiredOnesAreThere(string path, string schema)
    {
        var document = await DocumentAsync();
        var answer = Bodies.TryGetValue(path, out var body)
            ? await _server.AnswerAsync(path, body)
            : JsonNode.Parse(await _server.Client.GetStringAsync(path))!;

        AssertFits(answer, document["components"]!["schemas"]![schema]!, schema);
    }

    private async Task<JsonNode> DocumentAsync()
    {
        using var response = await _server.Client.GetAsync("/openapi/v1.json");
        Assert.Equal("application/json; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
    }

    private static IEnumerable<string> Named(BodyField field) =>
        (field.Schema["properties"]?.AsObject() ?? []).Select(inner => $"{field.Name}.{inner.Key}").Prepend(field.Name);

    // A text where it is no text; nothing but texts and arrays take a text.
    private static JsonNode WrongValue(JsonObject schema)
    {
        var types = schema["anyOf"] is { } forms ? forms.AsArray().Select(form => (string)form!["type"]!) : [(string)schema["type"]!];
        return types.Contains("string") ? new JsonObject { ["a"] = 1 } : "text";
    }

    private static void AssertFits(JsonNode? value, JsonNode schema, string at)
    {
        if (value is JsonObject fields && schema["properties"] is { } properties)
        {
            foreach (var (name, inner) in fields)
            {
                Assert.True(properties.AsObject().ContainsKey(name), $"{at}.{name} is not in the schema");
                AssertFits(inner, properties[name]!, $"{at}.{name}");
            }
            Assert.All(schema["required"]?.AsArray() ?? [], name => Assert.True(fields.ContainsKey((string)name!), $"{at}.{name} is required"));
        }
        else if (value is JsonArray items && schema["items"] is { } item)
        {
            Assert.All(items, element => AssertFits(element, item, $"{at}[]"));
        }
    }

    private static IEnumerable<JsonNode?> Nodes(JsonNode? node) => node switch
    {
        JsonObject fields => fields.SelectMany(field => Nodes(field.Value)).Prepend(node),
        JsonArray items => items.SelectMany(Nodes).Prepend(node),
        _ => [node],
    };

    private static bool IsType(JsonNode type) => type.GetValueKind() == System.Text.Json.JsonValueKind.String
        && (string?)type is "string" or "number" or "integer" or "boolean" or "array" or "object" or "null" or "http";

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex PathParameter();

    public sealed class Shared : SharedServer;
}
