using System.Globalization;
using System.Text.Json.Nodes;
using Tessera.Server.Api.Rest;
using Tessera.Server.Api.Rest.Describing;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>Made-up bodies from the fields that the document knows: whatever is in them, the client is answered, and never with an error of the server's.</summary>
public sealed class FuzzTests : IAsyncLifetime
{
    private const int Rounds = 150;

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-0", "-1", "1", "2", "0.5", "1.5", "1e300", "-1e300", "1e-300", "1e999", "-1e999", "9007199254740993", "2147483648",
        "-2147483649", "123456789012345678901234567890", "\"\"", "\"a\"", "\"latent\"", "\"text\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"<think>\"", "[]",
        "[null]", "[0]", "[-1]", "[\"\"]", "[[]]", "[[1,2]]", "[{}]", "{}", "{\"\":1}", "{\"5\":1}", "{\"-1\":1}", "{\"type\":\"text\"}", "{\"type\":7}", "{\"mode\":\"latent\"}",
        "{\"mode\":null,\"latent_budget\":0}", "{\"effort\":\"low\"}", "{\"include_usage\":true}", "[{\"role\":\"user\",\"content\":\"Tom\"}]", "[{\"role\":\"user\"}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Tom\"}]}]", "[{\"role\":null,\"content\":[]}]", "[1,2,3]", "[99999999]", "[1.5]", "[\"Tom\",\"a\"]",
    ];

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("/v1/chat/completions", 1)]
    [InlineData("/v1/completions", 2)]
    [InlineData("/v1/responses", 3)]
    [InlineData("/tokenize", 4)]
    [InlineData("/detokenize", 5)]
    [InlineData("/v1/latents/decode", 6)]
    [InlineData("/v1/latents/encode", 7)]
    public async Task Post_MadeUpBodies_AreAnsweredAndTheServerStaysWell(string path, int seed)
    {
        var fields = RestRoutes.Create(_server.Host.Services).Single(route => route.Pattern == path).About!.Body;
        var random = new Random(seed);
        for (var round = 0; round < Rounds; round++)
        {
            var body = MakeUp(fields, random);

            using var response = await _server.PostToAsync(path, body);
            var text = await response.Content.ReadAsStringAsync();

            Assert.True((int)response.StatusCode is 200 or 400 or 404, string.Create(CultureInfo.InvariantCulture, $"{(int)response.StatusCode} for {body}: {text}"));
            if (!response.IsSuccessStatusCode)
            {
                Assert.NotNull((string?)JsonNode.Parse(text)!["error"]!["param"]);
            }
            else
            {
                Assert.DoesNotContain("\"error\":{", text, StringComparison.Ordinal);
            }
        }

        Assert.Equal("True", (string?)(await _server.CompleteAsync(TestServer.Body()))["choices"]![0]!["message"]!["content"]);
        await _server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0 });
    }

    [Fact]
    public async Task AnyMethod_AnyRoute_IsAnsweredByItsOwnRules()
    {
        foreach (var route in RestRoutes.Create(_server.Host.Services))
        {
            foreach (var method in (string[])["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), OpenApiDocument.PathOf(route).Replace("{id}", "tiny", StringComparison.Ordinal));
                if (method is "POST" or "PUT" or "PATCH")
                {
                    request.Content = new StringContent("]{", null, "application/json");
                }

                using var response = await _server.Client.SendAsync(request);

                var expected = !route.Methods.Contains(method) ? 405 : method == "POST" ? 400 : 200;
                Assert.True(expected == (int)response.StatusCode, $"{method} {route.Pattern}: {(int)response.StatusCode}");
                Assert.Equal(method == "HEAD", (await response.Content.ReadAsByteArrayAsync()).Length == 0);
            }
        }
    }

    // Required fields mostly well, so that what comes after their checks is reached too.
    private static string MakeUp(IReadOnlyList<BodyField> fields, Random random)
    {
        var parts = new List<string>();
        foreach (var field in fields)
        {
            if (field.IsRequired && random.Next(4) > 0)
            {
                parts.Add($"\"{field.Name}\":{Wanted(field)}");
            }
            else if (field.Name == "model" ? random.Next(20) == 0 : random.Next(8) == 0)
            {
                parts.Add($"\"{field.Name}\":{Values[random.Next(Values.Length)]}");
            }
        }
        return $"{{{string.Join(',', parts)}}}";
    }

    private static string Wanted(BodyField field) => field.Name switch
    {
        "messages" => "[{\"role\":\"user\",\"content\":\"Tom?\"}]",
        "codes" => "[0,1]",
        "tokens" => $"[{TinyTokenizer.IdOf(" Tom")}]",
        "steps" => "[\"Tom is a wumpus.\"]",
        _ => "\"Tom?\"",
    };
}
