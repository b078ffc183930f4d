using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Tessera.EndToEnd.Tests.Support;
using Tessera.Testing;

namespace Tessera.EndToEnd.Tests;

/// <summary>What happens to a running server from outside: signals, changed keys.</summary>
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
