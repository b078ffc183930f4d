using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>Calls a test server over gRPC: through the client, or byte by byte.</summary>
internal static class GrpcCalls
{
    public const string Generate = "/tessera.v1.Inference/Generate";

    public const string HealthCheck = "/grpc.health.v1.Health/Check";

    public static GrpcClient NewClient(this TestServer server) => new(server.Host.GrpcAddress);

    /// <summary>A request for the scripted model's prompt.</summary>
    public static GenerateRequest NewRequest(ReasoningMode mode = ReasoningMode.Auto) =>
        new() { Chat = new() { Messages = { new ChatMessage { Role = "user", Content = TestServer.Prompt } } }, Reasoning = new() { Mode = mode } };

    /// <summary>All events of a response that ends well.</summary>
    public static async Task<List<GenerateEvent>> GenerateAsync(this TestServer server, GenerateRequest request)
    {
        using var client = server.NewClient();
        var events = new List<GenerateEvent>();
        await foreach (var happened in client.StreamAsync(Generate, request, GenerateEvent.Parser))
        {
            events.Add(happened);
        }

        return events;
    }

    /// <summary>The status of a response that does not.</summary>
    public static Task<GrpcStatusException> FailAsync(this TestServer server, GenerateRequest request) =>
        Assert.ThrowsAsync<GrpcStatusException>(() => server.GenerateAsync(request));

    /// <summary>A message as a frame.</summary>
    public static byte[] Frame(IMessage message)
    {
        var frame = new ArrayBufferWriter<byte>();
        GrpcFrame.Write(frame, message, int.MaxValue);
        return frame.WrittenSpan.ToArray();
    }

    /// <summary>Sends bytes as a gRPC request and gives the whole response.</summary>
    public static async Task<HttpResponseMessage> SendAsync(this TestServer server, string path, byte[] body, Action<HttpRequestMessage>? change = null)
    {
        using var http = new HttpClient { BaseAddress = server.Host.GrpcAddress, Timeout = TimeSpan.FromMinutes(2) };
        using var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        change?.Invoke(request);
        return await http.SendAsync(request);
    }

    /// <summary>Checks that a response is its headers alone, with this status.</summary>
    public static async Task AssertTrailersOnlyAsync(HttpResponseMessage response, GrpcStatusCode status, string message)
    {
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/grpc", response.Content.Headers.ContentType!.ToString());
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        Assert.Empty(response.TrailingHeaders);
        Assert.Equal([((int)status).ToString()], response.Headers.GetValues("grpc-status"));
        Assert.Equal(message, GrpcMessageEncoding.Decode(response.Headers.GetValues("grpc-message").Single()));
    }
}
