using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Hosting;

/// <summary>Clients that do not read what they asked for: on the socket, and by HTTP/2's windows.</summary>
public sealed class SlowReaderTests
{
    private const int EnhanceYourCalm = 0xB;

    // Together far more than the buffers of both ends take.
    private const int RequestCount = 100;

    // Each answer is about 150 KB.
    private static readonly string Body = TestServer.Body("\"stream\":true,\"n\":8,\"logprobs\":true,\"top_logprobs\":20,\"return_token_ids\":true");

    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Rest_AnswerIsNotRead_ConnectionIsClosedAndNothingRunsOn()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 1 });
        using var socket = await AskManyTimesAsync(server);

        await server.WaitForLogAsync("the client has not read what was sent to it for 1 seconds; it is closed");

        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
        Assert.InRange(await CountAnswersAsync(socket), 0, RequestCount - 1);
        Assert.Equal("True", (string?)(await server.CompleteAsync(TestServer.Body()))["choices"]![0]!["message"]!["content"]);
    }

    [Fact]
    public async Task Rest_AnswerIsReadInTime_ComesWhole()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 3600 });
        using var socket = await AskManyTimesAsync(server);

        // The reader starts when the server can send no more: when the next answers have waited for a while.
        var before = -1L;
        while (before != (before = server.Engine.GetStatus().StepCount) || before == 0)
        {
            await Task.Delay(500);
        }

        Assert.Equal(RequestCount, await CountAnswersAsync(socket));
    }

    [Fact]
    public async Task Grpc_LongAnswerIsNotRead_StreamIsResetAndTheConnectionGoesOn()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 1 });
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 10);
        var request = GrpcCalls.NewRequest();
        (request.N, request.Logprobs, request.MinTokens, request.MaxTokens) = (8, 20, 200, 200);

        await connection.RequestAsync(1, GrpcCalls.Generate, GrpcCalls.Frame(request), endStream: true);
        var reset = await connection.ReadUntilAsync(RawHttp2Connection.Reset);

        Assert.Equal(EnhanceYourCalm, BinaryPrimitives.ReadInt32BigEndian(reset.Content));
        await server.WaitForLogAsync("gRPC /tessera.v1.Inference/Generate ResourceExhausted");
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
        await connection.RequestAsync(3, GrpcCalls.HealthCheck, [0, 0, 0, 0, 0], endStream: true);
        Assert.Equal([0, 0, 0, 0, 2, 0x08, 0x01], (await connection.ReadUntilAsync(RawHttp2Connection.Data, stream: 3)).Content);
    }

    [Fact]
    public async Task Grpc_ShortAnswerIsNotRead_CallIsOverAndTheConnectionGoesOn()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 3600 });
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 0);

        await connection.RequestAsync(1, GrpcCalls.HealthCheck, [0, 0, 0, 0, 0], endStream: true);

        // What is left of it waits in the web server, behind a call that is over.
        await server.WaitForLogAsync("gRPC /grpc.health.v1.Health/Check OK");
        await connection.RequestAsync(3, GrpcCalls.HealthCheck, [0, 0, 0, 0, 0], endStream: true);
        await connection.OpenWindowAsync(3, 100);
        Assert.Equal([0, 0, 0, 0, 2, 0x08, 0x01], (await connection.ReadUntilAsync(RawHttp2Connection.Data, stream: 3)).Content);
    }

    [Fact]
    public async Task Grpc_WindowOpensInTime_AnswerComesWhole()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 3600 });
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 0);

        await connection.RequestAsync(1, GrpcCalls.HealthCheck, [0, 0, 0, 0, 0], endStream: true);
        await connection.ReadUntilAsync(RawHttp2Connection.Headers);
        await connection.OpenWindowAsync(1, 3);
        Assert.Equal([0, 0, 0], (await connection.ReadUntilAsync(RawHttp2Connection.Data)).Content);
        await connection.OpenWindowAsync(1, 100);

        Assert.Equal([0, 2, 0x08, 0x01], (await connection.ReadUntilAsync(RawHttp2Connection.Data)).Content);
        await connection.ReadUntilAsync(RawHttp2Connection.Headers);
    }

    [Fact]
    public async Task Grpc_ConnectionIsNotRead_IsClosed()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 1 });
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: int.MaxValue, receiveBuffer: 2048);
        await connection.OpenWindowAsync(0, int.MaxValue - 65_535);
        var frame = GrpcCalls.Frame(new TokenizeRequest { Text = new string('a', 4000) });

        // As many at once as one connection may have; their answers are larger than the buffers of both ends.
        for (var stream = 1; stream < 200; stream += 2)
        {
            await connection.RequestAsync(stream, "/tessera.v1.Inference/Tokenize", frame, endStream: true);
        }

        await server.WaitForLogAsync("the client has not read what was sent to it for 1 seconds; it is closed");
    }

    /// <summary>Opens a connection with little room for answers and sends all requests, one behind the other.</summary>
    private static async Task<Socket> AskManyTimesAsync(TestServer server)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 2048 };
        await socket.ConnectAsync(server.Host.RestAddress.Host, server.Host.RestAddress.Port);
        var request = $"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {Body.Length}\r\n\r\n{Body}";
        await socket.SendAsync(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat(request, RequestCount))));
        return socket;
    }

    /// <summary>Reads until all answers are there or the connection has ended.</summary>
    private static async Task<int> CountAnswersAsync(Socket socket)
    {
        using var patience = new CancellationTokenSource(Patience);
        var (buffer, rest, count) = (new byte[1 << 16], "", 0);
        while (count < RequestCount)
        {
            int received;
            try
            {
                received = await socket.ReceiveAsync(buffer, patience.Token);
            }
            catch (SocketException)
            {
                return count;
            }

            if (received == 0)
            {
                return count;
            }

            rest += Encoding.UTF8.GetString(buffer, 0, received);
            count += Regex.Count(rest, Regex.Escape("data: [DONE]"));
            rest = rest[(rest.LastIndexOf('\n') + 1)..];
        }

        return count;
    }
}
