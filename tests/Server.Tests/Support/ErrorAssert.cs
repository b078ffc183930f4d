using System.Net;
using System.Text.Json.Nodes;

namespace Tessera.Server.Tests.Support;

/// <summary>Checks OpenAI's error object.</summary>
internal static class ErrorAssert
{
    /// <summary>Checks status, code and parameter, and gives the message.</summary>
    public static async Task<string> IsAsync(HttpResponseMessage response, HttpStatusCode status, string code, string? param)
    {
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(status == response.StatusCode, $"{response.StatusCode}: {text}");
        Assert.Equal("application/json; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        var error = Assert.Single(JsonNode.Parse(text)!.AsObject()).Value!.AsObject();
        Assert.Equal(["message", "type", "param", "code"], error.Select(field => field.Key));
        Assert.Equal(code, (string?)error["code"]);
        Assert.Equal(param, (string?)error["param"]);
        return (string)error["message"]!;
    }
}
