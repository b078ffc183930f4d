using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class JsonBodyTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync(new ServerOptions { MaxBodyBytes = 4096 });

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData("", "expected a JSON object, found nothing")]
    [InlineData("{\"model\":\"secret\"", "expected JSON, found an error at line 1, position 18")]
    [InlineData("{\n \"model\": secret}", "expected JSON, found an error at line 2, position 11")]
    [InlineData("{\"a\":1} {\"secret\":2}", "expected JSON, found an error at line 1, position 9")]
    [InlineData("[\"secret\"]", "expected a JSON object, found an array")]
    [InlineData("\"secret\"", "expected a JSON object, found a string")]
    [InlineData("{\"temperature\":NaN}", "expected JSON, found an error at line 1, position 16")]
    public async Task Post_BrokenBody_SaysWhereWithoutRepeatingIt(string body, string inMessage)
    {
        using var response = await _server.PostAsync(body);

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_body", null);
        Assert.Contains(inMessage, message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(31, HttpStatusCode.OK)] // and the object around them: 32 levels
    [InlineData(32, HttpStatusCode.BadRequest)]
    public async Task Post_NestedArrays_AreTakenUpToTheLimit(int levels, HttpStatusCode status)
    {
        using var response = await _server.PostAsync(TestServer.Body($"\"x\":{new string('[', levels)}{new string(']', levels)}"));

        Assert.Equal(status, response.StatusCode);
        if (status != HttpStatusCode.OK)
        {
            Assert.Contains("at most 32 levels of nesting", await ErrorAssert.IsAsync(response, status, "invalid_body", null), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Post_BytesThatAreNoUtf8_AreRefused()
    {
        using var response = await PostBytesAsync([.. Encoding.ASCII.GetBytes("{\"model\":\""), 0xFF, .. "\"}"u8], "application/json");

        Assert.Contains("expected UTF-8", await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_body", null), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/plain", "found 'text/plain'")]
    [InlineData("application/x-www-form-urlencoded", "found 'application/x-www-form-urlencoded'")]
    [InlineData("application/json; charset=utf-16", "found 'utf-16'")]
    [InlineData(null, "found none")]
    public async Task Post_OtherContentType_IsRefused(string? type, string inMessage)
    {
        using var response = await PostBytesAsync(Encoding.UTF8.GetBytes(TestServer.Body()), type);

        Assert.Contains(inMessage, await ErrorAssert.IsAsync(response, HttpStatusCode.UnsupportedMediaType, "unsupported_media_type", "Content-Type"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_CompressedBody_IsRefused()
    {
        using var response = await PostBytesAsync([0x1F, 0x8B, 0x08], "application/json", "gzip");

        Assert.Contains("found 'gzip'", await ErrorAssert.IsAsync(response, HttpStatusCode.UnsupportedMediaType, "unsupported_media_type", "Content-Encoding"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_BodyOverTheLimit_IsRefusedWithBothNumbers()
    {
        var body = TestServer.Body($"\"x\":\"{new string('a', 5000)}\"");

        using var response = await _server.PostAsync(body);

        Assert.Contains($"at most 4096 bytes, found {body.Length}", await ErrorAssert.IsAsync(response, HttpStatusCode.RequestEntityTooLarge, "too_large", null), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_ChunkedBodyOverTheLimit_IsRefused()
    {
        using var content = new StreamContent(new MemoryStream(Encoding.UTF8.GetBytes(TestServer.Body($"\"x\":\"{new string('a', 5000)}\""))));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = content };
        request.Headers.TransferEncodingChunked = true;

        using var response = await _server.Client.SendAsync(request);

        Assert.Contains("at most 4096 bytes, found more", await ErrorAssert.IsAsync(response, HttpStatusCode.RequestEntityTooLarge, "too_large", null), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_BodyThatEndsEarly_LeavesTheServerServing()
    {
        using (var socket = new TcpClient())
        {
            await socket.ConnectAsync(_server.Host.RestAddress.Host, _server.Host.RestAddress.Port);
            await socket.GetStream().WriteAsync("POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{\"model\""u8.ToArray());
            socket.Client.Shutdown(SocketShutdown.Both);
        }

        var next = await _server.CompleteAsync(TestServer.Body());
        Assert.Equal("True", (string?)next["choices"]![0]!["message"]!["content"]);
        Assert.DoesNotContain(_server.Logs.Entries, entry => entry.Level >= Microsoft.Extensions.Logging.LogLevel.Error);
    }

    private Task<HttpResponseMessage> PostBytesAsync(byte[] body, string? type, string? coding = null)
    {
        var content = new ByteArrayContent(body);
        if (type is not null)
        {
            content.Headers.TryAddWithoutValidation("Content-Type", type);
        }
        if (coding is not null)
        {
            content.Headers.ContentEncoding.Add(coding);
        }
        return _server.Client.PostAsync(new Uri("/v1/chat/completions", UriKind.Relative), content);
    }
}
