using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Tessera.Protos.Grpc;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;
using Tessera.Testing;
using HealthCheckRequest = Tessera.Protos.Health.V1.HealthCheckRequest;

namespace Tessera.Server.Tests.Hosting;

/// <summary>What one connection and one request may cost: at the bound, past it, and what stays well beside it.</summary>
public sealed class RequestLimitTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    // Between the parts of a request that does not come at once.
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    [Theory]
    [InlineData(2048, false, HttpStatusCode.OK)]
    [InlineData(2049, false, HttpStatusCode.RequestEntityTooLarge)]
    // Of a chunked body its framing counts too.
    [InlineData(2000, true, HttpStatusCode.OK)]
    [InlineData(2049, true, HttpStatusCode.RequestEntityTooLarge)]
    public async Task Body_AtAndPastTheBound_IsTakenAndRefused(int bytes, bool isChunked, HttpStatusCode expected)
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxBodyBytes = 2048 });
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(TestServer.Body().PadRight(bytes), null, "application/json") };
        request.Headers.TransferEncodingChunked = isChunked;

        using var response = await server.Client.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }

    [Theory]
    [InlineData(1000, HttpStatusCode.OK)]
    [InlineData(3000, HttpStatusCode.RequestHeaderFieldsTooLarge)]
    public async Task Headers_WithinAndPastTheBound_AreTakenAndRefused(int bytes, HttpStatusCode expected)
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxHeaderBytes = 2048 });
        using var request = new HttpRequestMessage(HttpMethod.Get, "/version");
        request.Headers.Add("x-filler", new string('a', bytes));

        using var response = await server.Client.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task Headers_NeverComplete_ConnectionIsAnsweredAndClosed()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { HeaderSeconds = 1 });

        var answer = await SendRawAsync(server, "GET /version HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Headers_CompleteInTime_AreTaken()
    {
        // A long way below the bound on the slowest machine, and in two parts all the same.
        await using var server = await TestServer.StartAsync(new ServerOptions { HeaderSeconds = 120 });

        var answer = await SendRawAsync(server, "GET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Slow: ", "1\r\n\r\n");

        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_CompleteInTime_IsTakenOverBothFronts()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { BodySeconds = 120 });
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 65_535);

        var answer = await SendRawAsync(
            // With so much of it in its first part, that it is never below the least rate.
            server, $"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 100014\r\n\r\n{new string(' ', 100_000)}{{\"prompt\"", ":\"a\"}");
        await connection.RequestAsync(GrpcCalls.HealthCheck, [0, 0, 0], endStream: false);
        await Task.Delay(Pause);
        await connection.ContinueAsync(1, [0, 0], endStream: true);

        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.Equal([0, 0, 0, 0, 2, 0x08, 0x01], (await connection.ReadUntilAsync(RawHttp2Connection.Data)).Content);
    }

    [Theory]
    [InlineData(2048, true)]
    [InlineData(2049, false)]
    public async Task GrpcHeaders_AtTheBoundAndPastIt_AreTakenAndRefused(int bytes, bool isTaken)
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxHeaderBytes = 2048 });
        using var connection = await RawHttp2Connection.OpenAsync(server.Host.GrpcAddress, window: 65_535);
        var filler = new string('a', bytes - RawHttp2Connection.HeaderBytesOf(GrpcCalls.HealthCheck) - "x-filler".Length);

        await connection.RequestAsync(GrpcCalls.HealthCheck, [0, 0, 0, 0, 0], endStream: true, ("x-filler", filler));

        if (isTaken)
        {
            Assert.Equal([0, 0, 0, 0, 2, 0x08, 0x01], (await connection.ReadUntilAsync(RawHttp2Connection.Data)).Content);
        }
        else
        {
            // A status of HTTP, as whatever is no gRPC yet.
            Assert.Contains("431", Encoding.ASCII.GetString((await connection.ReadUntilAsync(RawHttp2Connection.Headers)).Content), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/v1/chat/completions")]
    [InlineData("/tokenize")]
    public async Task Body_NeverComplete_IsToldSoAndClosed(string path)
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { BodySeconds = 1 });

        var answer = await SendRawAsync(server, $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"model\":");

        Assert.StartsWith("HTTP/1.1 408 ", answer, StringComparison.Ordinal);
        Assert.Contains("\"message\":\"body: expected all of it within 1 seconds, found a slower sender\"", answer, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"body_timeout\"", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GrpcMessage_NeverComplete_EndsThatCallAndNoOtherOfItsConnection()
    {
        // Longer than the web server waits before it closes the connection of a slow body.
        await using var server = await TestServer.StartAsync(new ServerOptions { BodySeconds = 7 });
        using var http = new HttpClient { BaseAddress = server.Host.GrpcAddress, Timeout = Patience };
        using var watched = await SendAsync(http, "/grpc.health.v1.Health/Watch", new ByteArrayContent(GrpcCalls.Frame(new HealthCheckRequest())));
        using var watch = await watched.Content.ReadAsStreamAsync();
        Assert.NotEqual(0, await watch.ReadAsync(new byte[64]));
        var next = watch.ReadAsync(new byte[64]).AsTask();

        using var half = await SendAsync(http, GrpcCalls.Generate, new HalfContent());
        using var whole = await SendAsync(http, GrpcCalls.HealthCheck, new ByteArrayContent(GrpcCalls.Frame(new HealthCheckRequest())));
        await whole.Content.ReadAsByteArrayAsync();

        Assert.Equal([$"{(int)GrpcStatusCode.DeadlineExceeded}"], half.Headers.GetValues("grpc-status"));
        Assert.Equal("body: expected all of it within 7 seconds, found a slower sender", GrpcMessageEncoding.Decode(half.Headers.GetValues("grpc-message").Single()));
        Assert.Equal(["0"], whole.TrailingHeaders.GetValues("grpc-status"));
        Assert.False(next.IsCompleted);
    }

    [Fact]
    public async Task Time_RequestTakesLonger_IsEndedWithItsStatusOverBothFronts()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { RequestSeconds = 1 });
        server.Runner.BeforeRun = _ => Thread.Sleep(TimeSpan.FromSeconds(1.1));

        using var rest = await server.PostAsync(TestServer.Body());
        var grpc = await server.FailAsync(GrpcCalls.NewRequest());

        await ErrorAssert.IsAsync(rest, HttpStatusCode.GatewayTimeout, "deadline_exceeded", null);
        Assert.Equal(GrpcStatusCode.DeadlineExceeded, grpc.Code);
    }

    [Theory]
    [InlineData(599.999, false, "OK")]
    [InlineData(600, false, "GatewayTimeout")]
    [InlineData(599.999, true, "OK")]
    [InlineData(600, true, "DeadlineExceeded")]
    public async Task Time_JustBelowTheBoundAndAtIt_IsAnsweredAndEndedOverBothFronts(double seconds, bool isGrpc, string expected)
    {
        var time = new ManualTime();
        await using var server = await TestServer.StartAsync(time: time);
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var status = isGrpc ? AskGrpcAsync(server) : AskRestAsync(server);
        // It was submitted, and no time has passed since.
        await gate.WhenArrivedAsync();

        time.Advance(TimeSpan.FromSeconds(seconds));
        gate.Open();

        Assert.Equal(expected, await status);
    }

    [Fact]
    public async Task Info_EveryLimit_IsShown()
    {
        await using var server = await TestServer.StartAsync(
            new ServerOptions { MaxHeaderBytes = 5000, MaxConnections = 77, HeaderSeconds = 3, BodySeconds = 4, RequestSeconds = 5 },
            options: new TesseraOptions { Security = new() { RequestsPerMinute = 6, TokensPerMinute = 7 } });

        var limits = (await server.InfoAsync())["limits"]!;

        Assert.Equal(
            (5000, 77, 3, 4, 5, 6, 7),
            ((int)limits["max_header_bytes"]!, (int)limits["max_connections"]!, (int)limits["header_seconds"]!, (int)limits["body_seconds"]!, (int)limits["request_seconds"]!,
                (int)limits["requests_per_minute"]!, (int)limits["tokens_per_minute"]!));
    }

    private static async Task<string> AskRestAsync(TestServer server)
    {
        using var response = await server.PostAsync(TestServer.Body());
        return $"{response.StatusCode}";
    }

    private static async Task<string> AskGrpcAsync(TestServer server)
    {
        try
        {
            await server.GenerateAsync(GrpcCalls.NewRequest());
            return "OK";
        }
        catch (GrpcStatusException e)
        {
            return $"{e.Code}";
        }
    }

    private static async Task<string> SendRawAsync(TestServer server, params string[] parts)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(server.Host.RestAddress.Host, server.Host.RestAddress.Port, patience.Token);
        foreach (var (index, part) in parts.Index())
        {
            await Task.Delay(index == 0 ? TimeSpan.Zero : Pause, patience.Token);
            await socket.SendAsync(Encoding.ASCII.GetBytes(part), patience.Token);
        }

        using var stream = new NetworkStream(socket);
        using var answer = new MemoryStream();
        await stream.CopyToAsync(answer, patience.Token);
        return Encoding.UTF8.GetString(answer.ToArray());
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient http, string path, HttpContent content)
    {
        content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        return http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>A frame that promises ten bytes and has two, and never ends.</summary>
    private sealed class HalfContent : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.WriteAsync((byte[])[0, 0, 0, 0, 10, 1, 2], cancellationToken);
            await stream.FlushAsync(cancellationToken);
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
