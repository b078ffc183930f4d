using System.Text;
using System.Text.Json.Nodes;

namespace Tessera.Server.Tests.Support;

/// <summary>Posts to routes other than chat.</summary>
internal static class Posting
{
    /// <summary>Posts a JSON body.</summary>
    public static Task<HttpResponseMessage> PostToAsync(this TestServer server, string path, string body) =>
        server.Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"));

    /// <summary>Posts a body and expects an answer.</summary>
    public static async Task<JsonNode> AnswerAsync(this TestServer server, string path, string body)
    {
        using var response = await server.PostToAsync(path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    /// <summary>Posts a body that asks for a stream and gives each event as its type and its data.</summary>
    public static async Task<IReadOnlyList<(string? Type, string Data)>> EventsAsync(this TestServer server, string path, string body)
    {
        using var response = await server.PostToAsync(path, body);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        Assert.Equal("text/event-stream; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.EndsWith("\n\n", text, StringComparison.Ordinal);
        return [.. text[..^2].Split("\n\n").Where(part => !part.StartsWith(": ", StringComparison.Ordinal)).Select(Parse)];
    }

    private static (string? Type, string Data) Parse(string part)
    {
        var lines = part.Split('\n');
        Assert.StartsWith("data: ", lines[^1], StringComparison.Ordinal);
        Assert.True(lines.Length == 1 || (lines.Length == 2 && lines[0].StartsWith("event: ", StringComparison.Ordinal)), part);
        return (lines.Length == 2 ? lines[0]["event: ".Length..] : null, lines[^1]["data: ".Length..]);
    }
}
