using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Tessera.EndToEnd.Tests.Support;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Testing;

namespace Tessera.EndToEnd.Tests;

/// <summary>What happens to a running server from outside: signals, changed keys, changed limits.</summary>
public sealed class LifecycleTests : IDisposable
{
    private const int Hangup = 1;
    private const int Terminate = 15;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Terminate_Twice_EndsAtOnceThoughAClientStillSends()
    {
        await using var server = await ServerProcess.StartAsync(
            "--Server:BodySeconds", "3600", "--Server:MaxBodyBytes", "268435456", "--Server:DrainSeconds", "3600");
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.Rest.Host, server.Rest.Port);
        var sending = SendForeverAsync(socket);
        // The interim answer comes when the handler waits for the body: from here on the server has a request that does not end.
        Assert.NotEqual(0, await socket.ReceiveAsync(new byte[256]));

        server.Signal(Terminate);
        await ReadUntilAsync(server, "Drained");
        server.Signal(Terminate);

        Assert.Equal(128 + Terminate, await server.WaitForExitAsync());
        await sending;
    }

    [Fact]
    public async Task Keys_AddedAndRevokedWhileItRuns_TakeEffect()
    {
        string[] file = ["--Security:KeyFile", _folder["keys.json"]];
        var alice = await ServerProcess.RunKeysAsync(["add", "alice", .. file]);
        await using var server = await ServerProcess.StartAsync(file);

        Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(server, key: null));
        Assert.Equal(HttpStatusCode.OK, await AskAsync(server, alice));
        var bob = await ServerProcess.RunKeysAsync(["add", "bob", .. file]);
        await ServerProcess.RunKeysAsync(["revoke", "alice", .. file]);
        // Reads the file at once; without a handler it would end the process.
        server.Signal(Hangup);
        await WaitForAsync(server, bob, HttpStatusCode.OK);
        await WaitForAsync(server, alice, HttpStatusCode.Unauthorized);
        var (exitCode, errors) = await server.StopAsync();

        Assert.Equal(0, exitCode);
        Assert.Empty(errors);
    }

    [Fact]
    public async Task Settings_FileChangesWhileItRuns_NewLimitsHoldOnBothFrontsAndWrongOnesAreNamed()
    {
        Write("""{ "Engine": { "MaxTokensLimit": 50, "MaxChoices": 2 }, "Server": { "MaxBodyBytes": 4096 } }""");
        await using var server = await ServerProcess.StartAsync("--Server:SettingsFile", _folder["settings.json"]);
        Assert.Equal((50, 2, 4096), await LimitsAsync(server));

        Write("""{ "Engine": { "MaxTokensLimit": 60, "MaxChoices": 3, "MaxSlots": 4 }, "Server": { "MaxBodyBytes": 2048 } }""");
        await ReadUntilAsync(server, "changed: Server:MaxBodyBytes 2048, Engine:MaxTokensLimit 60, Engine:MaxChoices 3; needs a restart: Engine:MaxSlots");
        Assert.Equal((60, 3, 2048), await LimitsAsync(server));
        await AssertInForceAsync(server, maxTokens: 60, maxBodyBytes: 2048);

        // One wrong value: nothing of the file is taken over.
        Write("""{ "Engine": { "MaxTokensLimit": -1, "MaxChoices": 1 }, "Server": { "MaxBodyBytes": 8192 } }""");
        await ReadUntilAsync(server, "A change was not taken over: Engine:MaxTokensLimit: expected a whole number from 1 to 1000000, found '-1' (settings.json)");
        Assert.Equal((60, 3, 2048), await LimitsAsync(server));
        await AssertInForceAsync(server, maxTokens: 60, maxBodyBytes: 2048);
    }

    // Whole at once, as a mounted file is swapped: a server must not read half of it.
    private void Write(string settings)
    {
        File.WriteAllText(_folder["next.json"], settings);
        File.Move(_folder["next.json"], _folder["settings.json"], overwrite: true);
    }

    private static async Task<(int MaxTokens, int MaxN, int MaxBodyBytes)> LimitsAsync(ServerProcess server)
    {
        var rest = JsonNode.Parse(await server.Http.GetStringAsync("/info"))!["limits"]!;
        using var client = new GrpcClient(server.Grpc);
        var grpc = (await client.UnaryAsync("/tessera.v1.Inference/GetInfo", new GetInfoRequest(), GetInfoResponse.Parser)).Limits;
        var limits = ((int)rest["max_tokens"]!, (int)rest["max_n"]!, (int)rest["max_body_bytes"]!);
        Assert.Equal(limits, ((int)grpc["max_tokens"], (int)grpc["max_n"], (int)grpc["max_body_bytes"]));
        return limits;
    }

    private static async Task AssertInForceAsync(ServerProcess server, int maxTokens, int maxBodyBytes)
    {
        string Body(int tokens, int bytes) => $$"""{"prompt":"a","max_tokens":{{tokens}}}""".PadRight(bytes);
        foreach (var (tokens, bytes, status) in ((int, int, HttpStatusCode)[])
            [(maxTokens, maxBodyBytes, HttpStatusCode.OK), (maxTokens + 1, 0, HttpStatusCode.BadRequest), (1, maxBodyBytes + 1, HttpStatusCode.RequestEntityTooLarge)])
        {
            using var content = new StringContent(Body(tokens, bytes), Encoding.UTF8, "application/json");
            using var response = await server.Http.PostAsync("/v1/completions", content);
            Assert.Equal(status, response.StatusCode);
        }

        using var client = new GrpcClient(server.Grpc);
        Task<GenerateResponse> GenerateAsync(int tokens, int characters) => client.UnaryAsync(
            "/tessera.v1.Inference/GenerateOnce", new GenerateRequest { Prompt = "a", MaxTokens = (uint)tokens, CacheSalt = new string('s', characters) }, GenerateResponse.Parser);
        Assert.NotEmpty((await GenerateAsync(maxTokens, 0)).Choices);
        var wrong = await Assert.ThrowsAsync<GrpcStatusException>(() => GenerateAsync(maxTokens + 1, 0));
        Assert.Equal((GrpcStatusCode.InvalidArgument, $"max_tokens: must be a whole number from 1 to {maxTokens}; got {maxTokens + 1}"), (wrong.Code, wrong.Detail));
        Assert.Equal(GrpcStatusCode.ResourceExhausted, (await Assert.ThrowsAsync<GrpcStatusException>(() => GenerateAsync(1, maxBodyBytes))).Code);
    }

    private static async Task SendForeverAsync(Socket socket)
    {
        var head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200000000\r\nExpect: 100-continue\r\n\r\n";
        try
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(head));
            while (true)
            {
                // Faster than the slowest rate that the server bears, and far from the end of the body.
                await socket.SendAsync(new byte[8192]);
                await Task.Delay(50);
            }
        }
        catch (SocketException)
        {
            // The server is gone.
        }
    }

    private static async Task ReadUntilAsync(ServerProcess server, string text)
    {
        while (await server.ReadLineAsync() is { } line)
        {
            if (line.Contains(text, StringComparison.Ordinal))
            {
                return;
            }
        }

        Assert.Fail($"the server ended without '{text}'");
    }

    private static async Task WaitForAsync(ServerProcess server, string key, HttpStatusCode wanted)
    {
        using var patience = new CancellationTokenSource(ChildProcess.Patience);
        while (await AskAsync(server, key) != wanted)
        {
            await Task.Delay(50, patience.Token);
        }
    }

    private static async Task<HttpStatusCode> AskAsync(ServerProcess server, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        using var response = await server.Http.SendAsync(request);
        return response.StatusCode;
    }
}
