using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;

namespace Tessera.Protos.Tests.Grpc;

public sealed class GrpcClientTests
{
    private const string Method = "/tessera.v1.Inference/Generate";

    // ChatMessage { role = "user" } and ChatMessage { role = "tom" }.
    private static readonly byte[] User = [0, 0, 0, 0, 6, 0x0A, 0x04, 0x75, 0x73, 0x65, 0x72];
    private static readonly byte[] Tom = [0, 0, 0, 0, 5, 0x0A, 0x03, 0x74, 0x6F, 0x6D];

    [Fact]
    public async Task Stream_TwoMessagesAndOk_GivesBoth()
    {
        await using var server = await FakeServer.StartAsync(context => FakeServer.AnswerAsync(context, "0", User, Tom));

        Assert.Equal(["user", "tom"], (await StreamAsync(server)).Select(message => message.Role));
    }

    [Fact]
    public async Task Call_Request_IsOneFrameWithHeadersOfTheSpecification()
    {
        var (headers, body, protocol) = (new Dictionary<string, string>(), new MemoryStream(), "");
        await using var server = await FakeServer.StartAsync(async context =>
        {
            protocol = $"{context.Request.Protocol} {context.Request.Method} {context.Request.Path}";
            headers = context.Request.Headers.ToDictionary(header => header.Key.ToLowerInvariant(), header => header.Value.ToString());
            await context.Request.Body.CopyToAsync(body);
            await FakeServer.AnswerAsync(context, "0", User);
        });
        using var client = new GrpcClient(server.Address);

        await client.UnaryAsync(
            Method, new ChatMessage { Role = "tom" }, ChatMessage.Parser,
            new GrpcCallOptions { Deadline = TimeSpan.FromMinutes(3), Metadata = [new("authorization", "Bearer abc")] });

        Assert.Equal("HTTP/2 POST " + Method, protocol);
        Assert.Equal(Tom, body.ToArray());
        Assert.Equal(
            ("application/grpc", "trailers", "identity,gzip", "180000m", "Bearer abc"),
            (headers["content-type"], headers["te"], headers["grpc-accept-encoding"], headers["grpc-timeout"], headers["authorization"]));
    }

    [Fact]
    public async Task Stream_StatusAfterAMessage_GivesTheMessageThenThrowsWithTrailers()
    {
        await using var server = await FakeServer.StartAsync(async context =>
        {
            await FakeServer.AnswerAsync(context, "8", User);
            context.Response.AppendTrailer("grpc-message", "the queue is full%21");
            context.Response.AppendTrailer("grpc-retry-pushback-ms", "250");
        });
        using var client = new GrpcClient(server.Address);
        using var call = await client.StartAsync(Method, new ChatMessage(), ChatMessage.Parser);

        Assert.Equal("user", (await call.ReadAsync())!.Role);
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => call.ReadAsync().AsTask());

        Assert.Equal((GrpcStatusCode.ResourceExhausted, "the queue is full!", "250"), (error.Code, error.Detail, error.GetTrailer("grpc-retry-pushback-ms")));
        Assert.Null(await call.ReadAsync());
    }

    [Fact]
    public async Task Call_TrailersOnly_ThrowsTheStatusOfTheHeaders()
    {
        await using var server = await FakeServer.StartAsync(context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = "12";
            context.Response.Headers["grpc-message"] = "unknown method";
            return Task.CompletedTask;
        });

        await AssertFailsAsync(server, GrpcStatusCode.Unimplemented, "unknown method");
    }

    [Fact]
    public async Task Stream_TrailersOnlyOk_IsEmpty()
    {
        await using var server = await FakeServer.StartAsync(context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = "0";
            return Task.CompletedTask;
        });

        Assert.Empty(await StreamAsync(server));
    }

    [Fact]
    public async Task Stream_NoStatusAtTheEnd_IsUnknown()
    {
        await using var server = await FakeServer.StartAsync(context => FakeServer.AnswerAsync(context, null, User));

        await AssertFailsAsync(server, GrpcStatusCode.Unknown, "the response ended without grpc-status");
    }

    [Theory]
    [InlineData(401, GrpcStatusCode.Unauthenticated)]
    [InlineData(404, GrpcStatusCode.Unimplemented)]
    [InlineData(415, GrpcStatusCode.Unknown)]
    [InlineData(503, GrpcStatusCode.Unavailable)]
    [InlineData(200, GrpcStatusCode.Unknown)]
    public async Task Call_ResponseThatIsNoGrpc_GetsAStatusFromHttp(int http, GrpcStatusCode code)
    {
        await using var server = await FakeServer.StartAsync(context =>
        {
            context.Response.StatusCode = http;
            context.Response.ContentType = "text/html";
            return Task.CompletedTask;
        });

        await AssertFailsAsync(server, code, $"the response is not gRPC: HTTP status {http}, content type text/html");
    }

    [Theory]
    [InlineData(0x8, GrpcStatusCode.Cancelled)]
    [InlineData(0x7, GrpcStatusCode.Unavailable)]
    [InlineData(0xB, GrpcStatusCode.ResourceExhausted)]
    [InlineData(0x2, GrpcStatusCode.Internal)]
    public async Task Stream_ServerResets_GetsTheStatusOfTheErrorCode(int errorCode, GrpcStatusCode code)
    {
        await using var server = await FakeServer.StartAsync(async context =>
        {
            await FakeServer.AnswerAsync(context, null, User);
            context.Features.Get<IHttpResetFeature>()!.Reset(errorCode);
        });

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => StreamAsync(server));
        Assert.Equal(code, error.Code);
    }

    [Fact]
    public async Task Stream_MessageCutOff_IsInternal()
    {
        await using var server = await FakeServer.StartAsync(context => FakeServer.AnswerAsync(context, "0", User[..^2]));

        await AssertFailsAsync(server, GrpcStatusCode.Internal, "the body ends inside a frame: expected a message of 6 bytes, found 4");
    }

    [Fact]
    public async Task Stream_MessageOverTheLimit_IsResourceExhausted()
    {
        await using var server = await FakeServer.StartAsync(context => FakeServer.AnswerAsync(context, "0", User));
        using var client = new GrpcClient(server.Address, maxReceiveBytes: 5);

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => client.UnaryAsync(Method, new ChatMessage(), ChatMessage.Parser));

        Assert.Equal((GrpcStatusCode.ResourceExhausted, "the received message has 6 bytes; at most 5 are allowed"), (error.Code, error.Detail));
    }

    [Theory]
    [InlineData(0, "expected one response message, found none")]
    [InlineData(2, "expected one response message, found more")]
    public async Task Unary_NotOneMessage_IsUnimplemented(int count, string detail)
    {
        await using var server = await FakeServer.StartAsync(context => FakeServer.AnswerAsync(context, "0", [.. Enumerable.Repeat(User, count)]));
        using var client = new GrpcClient(server.Address);

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => client.UnaryAsync(Method, new ChatMessage(), ChatMessage.Parser));

        Assert.Equal((GrpcStatusCode.Unimplemented, detail), (error.Code, error.Detail));
    }

    [Fact]
    public async Task Call_DeadlinePasses_IsDeadlineExceeded()
    {
        await using var server = await FakeServer.StartAsync(context => WaitForAbortAsync(context, new TaskCompletionSource()));
        using var client = new GrpcClient(server.Address);

        var error = await Assert.ThrowsAsync<GrpcStatusException>(
            () => client.UnaryAsync(Method, new ChatMessage(), ChatMessage.Parser, new GrpcCallOptions { Deadline = TimeSpan.FromMilliseconds(500) }));

        Assert.Equal(GrpcStatusCode.DeadlineExceeded, error.Code);
    }

    [Fact]
    public async Task Stream_CallerCancelsMidStream_ThrowsAndTheServerSeesTheEnd()
    {
        var aborted = new TaskCompletionSource();
        await using var server = await FakeServer.StartAsync(async context =>
        {
            await FakeServer.AnswerAsync(context, null, User);
            await WaitForAbortAsync(context, aborted);
        });
        using var client = new GrpcClient(server.Address);
        using var cancellation = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in client.StreamAsync(Method, new ChatMessage(), ChatMessage.Parser, cancellationToken: cancellation.Token))
            {
                await cancellation.CancelAsync();
            }
        });

        await aborted.Task.WaitAsync(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task Call_NobodyListens_IsUnavailable()
    {
        var server = await FakeServer.StartAsync(context => FakeServer.AnswerAsync(context, "0", User));
        var address = server.Address;
        await server.DisposeAsync();
        using var client = new GrpcClient(address);

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => client.UnaryAsync(Method, new ChatMessage(), ChatMessage.Parser));

        Assert.Equal(GrpcStatusCode.Unavailable, error.Code);
    }

    private static async Task<List<ChatMessage>> StreamAsync(FakeServer server)
    {
        using var client = new GrpcClient(server.Address);
        var messages = new List<ChatMessage>();
        await foreach (var message in client.StreamAsync(Method, new ChatMessage(), ChatMessage.Parser))
        {
            messages.Add(message);
        }

        return messages;
    }

    private static async Task AssertFailsAsync(FakeServer server, GrpcStatusCode code, string detail)
    {
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => StreamAsync(server));
        Assert.Equal((code, detail), (error.Code, error.Detail));
    }

    private static async Task WaitForAbortAsync(HttpContext context, TaskCompletionSource aborted)
    {
        var ended = new TaskCompletionSource();
        await using var registration = context.RequestAborted.Register(ended.SetResult);
        await ended.Task.WaitAsync(TimeSpan.FromMinutes(1));
        aborted.SetResult();
    }
}
