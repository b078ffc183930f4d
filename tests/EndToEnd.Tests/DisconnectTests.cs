using System.Net.Sockets;
using System.Text;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.EndToEnd.Tests;

/// <summary>Clients that go away or talk nonsense, byte by byte.</summary>
public sealed class DisconnectTests(ServerFixture fixture) : IClassFixture<ServerFixture>
{
    [Fact]
    public async Task Stream_ClientResetsTheConnection_FreesTheSlotAndOthersGetTheSameAnswer()
    {
        var before = Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest("latent")));
        for (var i = 0; i < 5; i++)
        {
            using var socket = await ConnectAsync(fixture.Server.Rest);
            await SendStreamRequestAsync(socket);
            Assert.NotEqual(0, await socket.ReceiveAsync(new byte[64]));
            Reset(socket);
        }

        await fixture.Server.WaitUntilIdleAsync();
        Assert.Equal(before, Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest("latent"))));
    }

    [Fact]
    public async Task Grpc_BytesThatAreNoHttp2_AreAnsweredWithTheEndOfTheConnection()
    {
        using (var socket = await ConnectAsync(fixture.Server.Grpc))
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + new string('x', 1000)));
            using var patience = new CancellationTokenSource(ChildProcess.Patience);
            await ReadToEndAsync(socket, patience.Token);
        }

        var call = await NodeCall.RunAsync(fixture.Server.Grpc, "grpc.health.v1.Health/Check", []);
        Assert.Equal(0, call.Code);
    }

    private async Task SendStreamRequestAsync(Socket socket)
    {
        var body = Encoding.UTF8.GetBytes(fixture.RestRequest("text", stream: true).ToJsonString());
        var head = $"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n";
        await socket.SendAsync(Encoding.ASCII.GetBytes(head));
        await socket.SendAsync(body);
    }

    private static async Task<Socket> ConnectAsync(Uri address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(address.Host, address.Port);
        return socket;
    }

    // Closing with no time to linger sends a reset instead of an orderly end.
    private static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(enable: true, seconds: 0);
        socket.Close();
    }

    private static async Task ReadToEndAsync(Socket socket, CancellationToken cancellationToken)
    {
        var buffer = new byte[4096];
        try
        {
            while (await socket.ReceiveAsync(buffer, cancellationToken) > 0)
            {
                // What the server says to nonsense is its own affair; that it ends is not.
            }
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.ConnectionReset)
        {
            // Unread bytes make the end a reset.
        }
    }
}
