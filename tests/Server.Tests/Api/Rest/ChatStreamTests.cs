using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class ChatStreamTests
{
    private const string Latent = "\"reasoning\":{\"mode\":\"latent\",\"latent_budget\":1}";

    [Fact]
    public async Task Stream_LatentThenText_SendsEachPartInOrder()
    {
        await using var server = await TestServer.StartAsync();

        var events = await server.StreamAsync(TestServer.Body($"\"stream\":true,{Latent}"));

        Assert.Equal("[DONE]", events[^1]);
        var chunks = events.SkipLast(1).Select(text => JsonNode.Parse(text)!).ToList();
        Assert.All(chunks, chunk => Assert.Equal("chat.completion.chunk", (string?)chunk["object"]));
        Assert.Single(chunks.Select(chunk => (string?)chunk["id"]).Distinct());
        Assert.All(chunks, chunk => Assert.Null(chunk["usage"]));
        var deltas = chunks.Select(chunk => chunk["choices"]![0]!["delta"]!).ToList();
        Assert.Equal("""{"role":"assistant","content":""}""", deltas[0].ToJsonString());
        Assert.Equal("""{"latent_reasoning":{"span":0,"index":0,"codes":[0]}}""", deltas[1].ToJsonString());
        Assert.Contains("""{"latent_reasoning":{"span":0,"index":0,"codes":[0],"hint":"hint 0","confidence":0.5}}""", deltas.Select(delta => delta.ToJsonString()));
        Assert.Equal("Every wumpus is a lempus.", Join(deltas, "reasoning"));
        Assert.Equal("Every wumpus is a lempus.", Join(deltas, "reasoning_content"));
        Assert.Equal("True", Join(deltas, "content"));
        Assert.Equal("{}", deltas[^1].ToJsonString());
        Assert.Equal([.. Enumerable.Repeat<string?>(null, chunks.Count - 1), "stop"], chunks.Select(chunk => (string?)chunk["choices"]![0]!["finish_reason"]));
    }

    [Theory]
    [InlineData("\"reasoning\":{\"mode\":\"latent\"}")]
    [InlineData("\"reasoning\":{\"mode\":\"text\"}")]
    [InlineData("\"reasoning\":{\"mode\":\"none\"}")]
    [InlineData("\"reasoning\":{\"mode\":\"auto\",\"latent_budget\":1}")]
    [InlineData("\"max_tokens\":3")]
    public async Task Stream_SameRequestAsPlain_SaysAndCountsTheSame(string fields)
    {
        await using var server = await TestServer.StartAsync();

        var plain = await server.CompleteAsync(TestServer.Body(fields));
        var events = await server.StreamAsync(TestServer.Body($"\"stream\":true,\"stream_options\":{{\"include_usage\":true}},{fields}"));

        var chunks = events.SkipLast(1).Select(text => JsonNode.Parse(text)!).ToList();
        var deltas = chunks.SkipLast(1).Select(chunk => chunk["choices"]![0]!["delta"]!).ToList();
        var message = plain["choices"]![0]!["message"]!;
        Assert.Equal((string?)message["content"], Join(deltas, "content"));
        Assert.Equal((string?)message["reasoning"] ?? "", Join(deltas, "reasoning"));
        Assert.Equal(CodesOf(message), deltas.Where(IsLatent).Select(delta => (int)delta["latent_reasoning"]!["codes"]![0]!));
        Assert.Equal(plain["reasoning"]!.ToJsonString(), chunks[0]["reasoning"]!.ToJsonString());
        Assert.Equal(plain["sampling"]!.ToJsonString(), chunks[0]["sampling"]!.ToJsonString());
        Assert.Equal((string?)plain["choices"]![0]!["finish_reason"], (string?)chunks[^2]["choices"]![0]!["finish_reason"]);
        Assert.Empty(chunks[^1]["choices"]!.AsArray());
        Assert.Equal(WithoutSeconds(plain["usage"]!), WithoutSeconds(chunks[^1]["usage"]!));
    }

    [Fact]
    public async Task Stream_StepFails_EndsWithAnErrorEvent()
    {
        await using var server = await TestServer.StartAsync();
        var steps = 0;
        server.Runner.BeforeRun = _ =>
        {
            if (++steps == 3)
            {
                throw new InvalidOperationException("secret of the runtime");
            }
        };

        var events = await server.StreamAsync(TestServer.Body("\"stream\":true"));

        var error = JsonNode.Parse(events[^1])!["error"]!;
        Assert.Equal("internal_error", (string?)error["code"]);
        Assert.DoesNotContain("secret", string.Concat(events), StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", events);
        var next = await server.CompleteAsync(TestServer.Body());
        Assert.Equal("True", (string?)next["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Stream_NothingHappens_SendsComments()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { KeepAliveSeconds = 1 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();

        using var response = await server.PostAsync(TestServer.Body("\"stream\":true"), HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        var lines = new List<string>();
        while (!lines.Contains(": keep-alive"))
        {
            lines.Add((await reader.ReadLineAsync())!);
        }
        gate.Open();
        var rest = await reader.ReadToEndAsync();

        Assert.StartsWith("data: ", lines[0], StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", rest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_ClientGoesAway_RequestIsCancelled()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        using var leaving = new CancellationTokenSource();

        var response = await server.PostAsync(TestServer.Body("\"stream\":true"), HttpCompletionOption.ResponseHeadersRead, leaving.Token);
        await gate.WhenArrivedAsync();
        response.Dispose();
        gate.Allow(3);
        await AssertForgottenAsync(server, gate);
    }

    [Fact]
    public async Task Plain_ClientGoesAway_RequestIsCancelled()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();

        using (var socket = new TcpClient())
        {
            await socket.ConnectAsync(server.Host.RestAddress.Host, server.Host.RestAddress.Port);
            var body = TestServer.Body();
            await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
            await gate.WhenArrivedAsync();
        }
        await AssertForgottenAsync(server, gate);
    }

    /// <summary>The request would take seven steps; it must end with fewer, and the server must still answer.</summary>
    private static async Task AssertForgottenAsync(TestServer server, StepGate gate)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!server.Logs.Entries.Any(entry => entry.Text.Contains("the client went away", StringComparison.Ordinal)))
        {
            await Task.Delay(10, patience.Token);
        }
        gate.Open();
        await server.WaitForStatusAsync(status => status.StepCount > 0);
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
        // The warm-up took two steps.
        Assert.InRange(server.Runner.Steps.Count - 2, 1, 6);
        var next = await server.CompleteAsync(TestServer.Body());
        Assert.Equal("True", (string?)next["choices"]![0]!["message"]!["content"]);
    }

    private static string Join(IEnumerable<JsonNode> deltas, string field) => string.Concat(deltas.Select(delta => (string?)delta[field]));

    private static bool IsLatent(JsonNode delta) => delta["latent_reasoning"] is { } latent && latent["hint"] is null;

    private static IEnumerable<int> CodesOf(JsonNode message) =>
        message["latent_reasoning"] is { } latent ? latent["spans"]!.AsArray().SelectMany(span => span!["codes"]!.AsArray()).Select(code => (int)code!) : [];

    // Seconds are measured anew each time.
    private static string WithoutSeconds(JsonNode usage)
    {
        var copy = usage.DeepClone();
        Assert.True(copy["latent_savings"]!.AsObject().Remove("seconds_saved"));
        return copy.ToJsonString();
    }
}
