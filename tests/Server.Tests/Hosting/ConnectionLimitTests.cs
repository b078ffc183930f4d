using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Tessera.Engine;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;
using Tessera.Testing;
using HealthCheckRequest = Tessera.Protos.Health.V1.HealthCheckRequest;

namespace Tessera.Server.Tests.Hosting;

/// <summary>Bounds that hold before a handler sees a request: connections, headers, the pace of a client, messages, the queue's tokens.</summary>
public sealed class ConnectionLimitTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task Connections_AtTheBoundAndPastIt_AreServedAndClosedBothPortsTogether()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxConnections = 2 });
        var first = await AskAsync(server.Host.RestAddress);
        var second = await AskAsync(server.Host.RestAddress);

        Assert.Equal((true, true), (first.IsServed, second.IsServed));
        using (var rest = await AskAsync(server.Host.RestAddress))
        using (var grpc = await AskAsync(server.Host.GrpcAddress))
        {
            Assert.Equal((false, false), (rest.IsServed, grpc.IsServed));
        }

        // A place is free once the server has seen the end of a connection.
        first.Dispose();
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            using var next = await AskAsync(server.Host.RestAddress);
            if (next.IsServed)
            {
                break;
            }

            await Task.Delay(10, patience.Token);
        }

        second.Dispose();
    }

    [Theory]
    [InlineData(2048, "HTTP/1.1 200 OK")]
    [InlineData(2049, "HTTP/1.1 431 Request Header Fields Too Large")]
    public async Task HeaderBytes_AtTheBoundAndPastIt_AreTakenAndRefused(int bytes, string expected)
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxHeaderBytes = 2048 });
        const string Fixed = "Host: localhost\r\nConnection: close\r\nX-Filler: \r\n";

        var answer = await SendAsync(server, Fixed.Insert(Fixed.Length - 2, new string('a', bytes - Fixed.Length)));

        Assert.StartsWith(expected, answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100, "HTTP/1.1 200 OK")]
    [InlineData(101, "HTTP/1.1 431 Request Header Fields Too Large")]
    public async Task HeaderCount_AtTheBoundAndPastIt_IsTakenAndRefused(int count, string expected)
    {
        await using var server = await TestServer.StartAsync();

        var answer = await SendAsync(server, "Host: localhost\r\nConnection: close\r\n" + string.Concat(Enumerable.Range(2, count - 2).Select(i => $"X-{i}: 1\r\n")));

        Assert.StartsWith(expected, answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rates_Host_HasThemForBothDirections()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { ReaderSeconds = 40 });

        var limits = server.Host.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits;

        Assert.Equal((240, TimeSpan.FromSeconds(5)), (limits.MinRequestBodyDataRate!.BytesPerSecond, limits.MinRequestBodyDataRate.GracePeriod));
        // So many bytes need no longer than the grace period, whatever waits.
        Assert.Equal((1 << 20, TimeSpan.FromSeconds(50)), (limits.MinResponseDataRate!.BytesPerSecond, limits.MinResponseDataRate.GracePeriod));
    }

    [Fact]
    public async Task Rate_SenderOfABodyAboveIt_IsServedAfterTheGrace()
    {
        await using var server = await TestServer.StartAsync();
        const string Text = "{\"prompt\":\"a\"}";
        using var patience = new CancellationTokenSource(Patience);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.Host.RestAddress.Host, server.Host.RestAddress.Port, patience.Token);
        const int Blanks = 900_000;
        await socket.SendAsync(Encoding.ASCII.GetBytes(
            $"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {Text.Length + Blanks}\r\n\r\n"), patience.Token);

        // Many times the least rate, for longer than the grace period of five seconds.
        for (var i = 0; i < 60; i++)
        {
            await socket.SendAsync(Encoding.ASCII.GetBytes(new string(' ', Blanks / 60)), patience.Token);
            await Task.Delay(100, patience.Token);
        }

        await socket.SendAsync(Encoding.ASCII.GetBytes(Text), patience.Token);
        using var stream = new NetworkStream(socket);
        using var answer = new StreamReader(stream);
        Assert.StartsWith("HTTP/1.1 200 OK", await answer.ReadToEndAsync(patience.Token), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rate_SenderOfABodyBelowIt_IsToldSoLongBeforeTheTimeOfABody()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { BodySeconds = 3600 });

        var answer = await SendAsync(server, "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n", "POST /tokenize", "{\"prompt\":");

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GrpcMessage_LargerOnceDecompressed_IsResourceExhausted()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxBodyBytes = 2048 });

        // 3 bytes before the text.
        using var within = await server.SendAsync(GrpcCalls.HealthCheck, Compressed(new HealthCheckRequest { Service = new string('x', 2045) }), AsGzip);
        using var past = await server.SendAsync(GrpcCalls.HealthCheck, Compressed(new HealthCheckRequest { Service = new string('x', 2046) }), AsGzip);

        // An unknown service: the message was read.
        Assert.Equal([$"{(int)GrpcStatusCode.NotFound}"], within.Headers.GetValues("grpc-status"));
        Assert.Equal([$"{(int)GrpcStatusCode.ResourceExhausted}"], past.Headers.GetValues("grpc-status"));
    }

    [Fact]
    public async Task GrpcMessage_AnswerLargerThanTheBound_IsResourceExhausted()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxBodyBytes = 1024 });
        using var client = server.NewClient();
        Task<TokenizeResponse> CallAsync(int characters) =>
            client.UnaryAsync("/tessera.v1.Inference/Tokenize", new TokenizeRequest { Text = new string('a', characters) }, TokenizeResponse.Parser);

        var small = await CallAsync(10);
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => CallAsync(1000));

        Assert.Equal(10, small.Ids.Count);
        Assert.Equal(GrpcStatusCode.ResourceExhausted, error.Code);
    }

    [Fact]
    public async Task QueuedTokens_AtTheBoundAndPastIt_WaitAndAreRefusedOnBothFronts()
    {
        const int MaxTokens = 250;
        await using var server = await TestServer.StartAsync(engine: new EngineOptions { MaxSlots = 1, MaxQueuedTokens = MaxTokens });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.CompleteAsync(TestServer.Body());
        await gate.WhenArrivedAsync();
        var waiting = server.CompleteAsync(TestServer.Body());
        // Once it is read it counts its tokens; before, each byte of its body.
        await server.WaitForStatusAsync(status => status is { WaitingCount: 1, WaitingTokens: < 50 });
        var room = MaxTokens - (int)server.Engine.GetStatus().WaitingTokens;

        // A request that was not read yet counts as many tokens as its body has bytes.
        using var past = await server.PostAsync(BodyOf(room + 1));
        var grpc = GrpcCalls.NewRequest();
        grpc.Chat.Messages[0].Content = new string('a', room);
        var error = await server.FailAsync(grpc);
        var within = server.CompleteAsync(BodyOf(room));
        await server.WaitForStatusAsync(status => status.WaitingCount == 2);
        gate.Open();

        await ErrorAssert.IsAsync(past, HttpStatusCode.TooManyRequests, "queue_full", null);
        Assert.True(past.Headers.RetryAfter!.Delta >= TimeSpan.FromSeconds(1));
        Assert.Equal((GrpcStatusCode.ResourceExhausted, "queue_full"), (error.Code, StatusDetails.Of(error).Reason));
        Assert.All(await Task.WhenAll(running, waiting, within), answer => Assert.Equal("True", (string?)answer["choices"]![0]!["message"]!["content"]));
    }

    private static string BodyOf(int bytes) => TestServer.Body().Insert(1, new string(' ', bytes - TestServer.Body().Length));

    private static void AsGzip(HttpRequestMessage request) => request.Headers.Add("grpc-encoding", "gzip");

    private static byte[] Compressed(IMessage message)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(message.ToByteArray());
        }

        var frame = new byte[GrpcFrame.PrefixBytes + compressed.Length];
        GrpcFrame.WritePrefix(frame, compressed: true, (uint)compressed.Length);
        compressed.ToArray().CopyTo(frame, GrpcFrame.PrefixBytes);
        return frame;
    }

    /// <summary>Opens a connection, asks once, and leaves it open.</summary>
    private static async Task<Asked> AskAsync(Uri address)
    {
        using var patience = new CancellationTokenSource(Patience);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(address.Host, address.Port, patience.Token);
            await socket.SendAsync("GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), patience.Token);
            return new Asked(socket, await socket.ReceiveAsync(new byte[4096], patience.Token) > 0);
        }
        catch (SocketException)
        {
            return new Asked(socket, false);
        }
    }

    private static async Task<string> SendAsync(TestServer server, string headers, string request = "GET /version", string body = "")
    {
        using var patience = new CancellationTokenSource(Patience);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.Host.RestAddress.Host, server.Host.RestAddress.Port, patience.Token);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"{request} HTTP/1.1\r\n{headers}\r\n{body}"), patience.Token);
        using var stream = new NetworkStream(socket);
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer, patience.Token);
        return Encoding.UTF8.GetString(answer.ToArray());
    }

    private sealed record Asked(Socket Socket, bool IsServed) : IDisposable
    {
        public void Dispose() => Socket.Dispose();
    }
}
