using System.IO.Pipelines;
using System.Net;
using System.Net.Http.Headers;
using Tessera.Protos.Grpc;
using Tessera.Protos.Health.V1;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>What the server does with bytes that a careful client never sends, and with those that only some send.</summary>
public sealed class GrpcWireTests : IAsyncLifetime
{
    private static readonly byte[] EmptyFrame = [0, 0, 0, 0, 0];

    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(new ServerOptions { MaxBodyBytes = 2048 });

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Fact]
    public async Task Call_EmptyRequest_AnswersWithFrameAndTrailers()
    {
        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, EmptyFrame);

        Assert.Equal([0, 0, 0, 0, 2, 0x08, 0x01], await response.Content.ReadAsByteArrayAsync());
        Assert.Equal("application/grpc", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(["identity,gzip"], response.Headers.GetValues("grpc-accept-encoding"));
        Assert.False(response.Headers.Contains("grpc-status"));
        Assert.Equal(["0"], response.TrailingHeaders.GetValues("grpc-status"));
        Assert.False(response.TrailingHeaders.Contains("grpc-message"));
    }

    [Theory]
    [InlineData("application/grpc+proto")]
    [InlineData("application/grpc; charset=utf-8")]
    public async Task Call_OtherFormOfContentType_IsServed(string contentType)
    {
        using var response = await SendWithTypeAsync(contentType);

        Assert.Equal(["0"], response.TrailingHeaders.GetValues("grpc-status"));
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/grpc+json")]
    [InlineData("application/grpc-web")]
    public async Task Call_WrongContentType_Is415(string contentType)
    {
        using var response = await SendWithTypeAsync(contentType);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task Call_Get_Is405()
    {
        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, EmptyFrame, r => r.Method = HttpMethod.Put);

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(["POST"], response.Content.Headers.Allow);
    }

    [Theory]
    [InlineData("/nobody.v1.Home/Call", "unknown service in path '/nobody.v1.Home/Call'")]
    [InlineData("/tessera.v1.Inference/Nothing", "unknown method 'Nothing' of service tessera.v1.Inference")]
    [InlineData("/tessera.v1.Inference/generate", "unknown method 'generate' of service tessera.v1.Inference")]
    [InlineData("/v1/models", "unknown service in path '/v1/models'")]
    [InlineData("/", "unknown service in path '/'")]
    public async Task Call_UnknownPath_IsUnimplementedTrailersOnly(string path, string message)
    {
        using var response = await _server.SendAsync(path, EmptyFrame);

        await GrpcCalls.AssertTrailersOnlyAsync(response, GrpcStatusCode.Unimplemented, message);
    }

    [Theory]
    [InlineData("5")]
    [InlineData("123456789m")]
    [InlineData("-1S")]
    public async Task Call_BrokenTimeout_IsInvalidArgument(string timeout)
    {
        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, EmptyFrame, r => r.Headers.TryAddWithoutValidation("grpc-timeout", timeout));

        await GrpcCalls.AssertTrailersOnlyAsync(
            response, GrpcStatusCode.InvalidArgument, $"grpc-timeout: expected 1 to 8 digits and one of the units H, M, S, m, u, n, found '{timeout}'");
    }

    [Fact]
    public async Task Call_TimeoutOfZero_IsDeadlineExceeded()
    {
        using var response = await _server.SendAsync(GrpcCalls.Generate, GrpcCalls.Frame(GrpcCalls.NewRequest()), r => r.Headers.Add("grpc-timeout", "0n"));

        await GrpcCalls.AssertTrailersOnlyAsync(response, GrpcStatusCode.DeadlineExceeded, "the deadline passed before the response was complete");
    }

    [Theory]
    [InlineData(new byte[] { 0, 0, 0 }, "the body ends inside a frame: expected a prefix of 5 bytes, found 3")]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 10 }, "the body ends inside a frame: expected a message of 9 bytes, found 1")]
    [InlineData(new byte[] { 3, 0, 0, 0, 0 }, "the frame's compressed flag must be 0 or 1, found 3")]
    [InlineData(new byte[] { 1, 0, 0, 0, 0 }, "the frame's compressed flag is 1, but no grpc-encoding was declared")]
    [InlineData(new byte[] { 0, 0, 0, 0, 2, 0x0A, 0x7F }, "the received bytes are not a valid tessera.v1.GenerateRequest")]
    public async Task Call_BrokenFrame_IsInternalAndTheServerGoesOn(byte[] body, string message)
    {
        using (var response = await _server.SendAsync(GrpcCalls.Generate, body))
        {
            await GrpcCalls.AssertTrailersOnlyAsync(response, GrpcStatusCode.Internal, message);
        }

        Assert.Equal("stop", (await _server.GenerateAsync(GrpcCalls.NewRequest()))[^1].Finished.Reason);
    }

    [Theory]
    [InlineData(new byte[0], "none")]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, "more")]
    public async Task Call_NotOneMessage_IsUnimplemented(byte[] body, string found)
    {
        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, body);

        await GrpcCalls.AssertTrailersOnlyAsync(response, GrpcStatusCode.Unimplemented, $"body: expected exactly one request message, found {found}");
    }

    [Fact]
    public async Task Call_UnknownEncoding_IsUnimplementedAndListsTheKnown()
    {
        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, EmptyFrame, r => r.Headers.Add("grpc-encoding", "br"));

        await GrpcCalls.AssertTrailersOnlyAsync(response, GrpcStatusCode.Unimplemented, "grpc-encoding must be one of identity,gzip");
        Assert.Equal(["identity,gzip"], response.Headers.GetValues("grpc-accept-encoding"));
    }

    [Fact]
    public async Task Call_MessageOfTheLargestSize_IsRead()
    {
        // 3 bytes of field prefix; the answer is about the field then, not about the size.
        var message = new HealthCheckRequest { Service = new string('x', 2048 - 3) };
        Assert.Equal(2048, message.CalculateSize());

        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, GrpcCalls.Frame(message));

        Assert.Equal(["5"], response.Headers.GetValues("grpc-status"));
    }

    [Fact]
    public async Task Call_MessageOverTheLargestSize_IsResourceExhausted()
    {
        var message = new HealthCheckRequest { Service = new string('x', 2048 - 2) };

        using var response = await _server.SendAsync(GrpcCalls.HealthCheck, GrpcCalls.Frame(message));

        await GrpcCalls.AssertTrailersOnlyAsync(response, GrpcStatusCode.ResourceExhausted, "the received message has 2049 bytes; at most 2048 are allowed");
    }

    [Fact]
    public async Task Call_GzipRequest_IsServed()
    {
        using var compressed = new MemoryStream();
        using (var gzip = new System.IO.Compression.GZipStream(compressed, System.IO.Compression.CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(GrpcCalls.Frame(GrpcCalls.NewRequest(ReasoningMode.None)).AsSpan(GrpcFrame.PrefixBytes));
        }

        var frame = new byte[GrpcFrame.PrefixBytes + compressed.Length];
        GrpcFrame.WritePrefix(frame, compressed: true, (uint)compressed.Length);
        compressed.ToArray().CopyTo(frame, GrpcFrame.PrefixBytes);

        using var response = await _server.SendAsync(GrpcCalls.Generate, frame, r => r.Headers.Add("grpc-encoding", "gzip"));

        Assert.Equal(["0"], response.TrailingHeaders.GetValues("grpc-status"));
    }

    [Theory]
    [InlineData("identity, gzip", 90, 1)]
    [InlineData("gzip", 90, 1)]
    [InlineData("gzip", 10, 0)] // too short to win anything
    [InlineData("identity,deflate", 90, 0)]
    [InlineData(null, 90, 0)]
    public async Task Call_ClientTakesGzip_LongAnswerIsCompressedAndSaysTheSame(string? accepted, int characters, byte flag)
    {
        var request = new TokenizeRequest { Text = new string('a', characters) };

        using var response = await _server.SendAsync("/tessera.v1.Inference/Tokenize", GrpcCalls.Frame(request), r => r.Headers.Add("grpc-accept-encoding", accepted is null ? [] : [accepted]));

        var frame = await response.Content.ReadAsByteArrayAsync();
        Assert.Equal(flag, frame[0]);
        Assert.Equal(accepted?.Contains("gzip", StringComparison.Ordinal) == true ? ["gzip"] : [], response.Headers.TryGetValues("grpc-encoding", out var encoding) ? encoding : []);
        var reader = new GrpcFrameReader(PipeReader.Create(new MemoryStream(frame)), 2048, encoding?.Single());
        var answer = await reader.ReadAsync(TokenizeResponse.Parser, CancellationToken.None);
        Assert.Equal(characters, answer!.Ids.Count);
        Assert.True(flag == 0 || frame.Length < answer.CalculateSize() / 2, $"{frame.Length} bytes were sent for {answer.CalculateSize()}");
    }

    [Fact]
    public async Task Call_ErrorBeforeAnyMessage_DeclaresNoEncoding()
    {
        using var response = await _server.SendAsync("/tessera.v1.Inference/Nothing", EmptyFrame, r => r.Headers.Add("grpc-accept-encoding", "gzip"));

        Assert.False(response.Headers.Contains("grpc-encoding"));
    }

    [Fact]
    public async Task Call_OwnClient_AsksForGzipAndReadsIt()
    {
        using var client = _server.NewClient();
        using var call = await client.StartAsync("/tessera.v1.Inference/Tokenize", new TokenizeRequest { Text = new string('a', 90) }, TokenizeResponse.Parser);

        Assert.Equal(["gzip"], call.Headers.GetValues("grpc-encoding"));
        Assert.Equal(90, (await call.ReadAsync())!.Ids.Count);
    }

    [Fact]
    public async Task Call_MessageNotAscii_IsPercentEncoded()
    {
        using var response = await _server.SendAsync("/é/100%25", EmptyFrame);

        Assert.Equal(["unknown service in path '/%C3%A9/100%25'"], response.Headers.GetValues("grpc-message"));
    }

    private Task<HttpResponseMessage> SendWithTypeAsync(string contentType) =>
        _server.SendAsync(GrpcCalls.HealthCheck, EmptyFrame, request => request.Content!.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType));
}
