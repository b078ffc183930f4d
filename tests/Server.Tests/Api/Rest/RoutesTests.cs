using System.Net;
using System.Text.Json.Nodes;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

public sealed class RoutesTests : IAsyncLifetime
{
    private TestServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task Models_List_HasTheServedModel()
    {
        var list = JsonNode.Parse(await _server.Client.GetStringAsync("/v1/models"))!;

        Assert.Equal("list", (string?)list["object"]);
        var model = Assert.Single(list["data"]!.AsArray())!;
        Assert.Equal(("tiny", "model", "tessera", 256), ((string?)model["id"], (string?)model["object"], (string?)model["owned_by"], (int)model["max_model_len"]!));
    }

    [Fact]
    public async Task Models_OneByName_IsTheSameEntry()
    {
        var list = JsonNode.Parse(await _server.Client.GetStringAsync("/v1/models"))!;
        var one = await _server.Client.GetStringAsync("/v1/models/tiny");

        Assert.Equal(list["data"]![0]!.ToJsonString(), one);
    }

    [Theory]
    [InlineData("/v1/models/other")]
    [InlineData("/v1/models/tiny/more")]
    public async Task Models_OtherName_IsNotFound(string path)
    {
        using var response = await _server.Client.GetAsync(path);

        await ErrorAssert.IsAsync(response, HttpStatusCode.NotFound, "model_not_found", "model");
    }

    [Theory]
    [InlineData("/health/live", "live")]
    [InlineData("/health/ready", "ready")]
    public async Task Health_EngineReady_IsWell(string path, string status)
    {
        Assert.Equal($$"""{"status":"{{status}}"}""", await _server.Client.GetStringAsync(path));
    }

    [Fact]
    public async Task Health_Head_HasNoBody()
    {
        using var response = await _server.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/health/ready"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
    }

    [Fact]
    public async Task Info_AfterARequest_TellsModelEngineAndLimits()
    {
        var usage = (await _server.CompleteAsync(TestServer.Body()))["usage"]!;
        await _server.WaitForStatusAsync(status => status.KvPositionsInUse == 0);

        var info = await _server.InfoAsync();

        Assert.Equal("tiny", (string?)info["model"]!["name"]);
        Assert.Equal(4, (int)info["model"]!["latent_count"]!);
        Assert.Equal(4.5, (double)info["model"]!["text_tokens_per_latent"]!);
        Assert.Equal("tiny", (string?)info["model"]!["evaluation"]![0]!["task"]);
        var engine = info["engine"]!;
        Assert.Equal(("ready", 0, 0), ((string?)engine["state"], (int)engine["running"]!, (int)engine["waiting"]!));
        Assert.Equal(1024, (long)engine["kv_bytes_per_position"]!);
        Assert.Equal(0, (long)engine["kv_bytes_in_use"]!);
        // The last token is sampled, not run: it never takes a position.
        var positions = (int)usage["prompt_tokens"]! + (int)usage["completion_tokens"]!;
        Assert.InRange((long)engine["kv_bytes_peak"]!, 1024L * (positions - 1), 1024L * positions);
        Assert.Equal((256, 2048, 512), ((int)info["limits"]!["max_positions"]!, (int)info["limits"]!["max_tokens"]!, (int)info["limits"]!["default_max_tokens"]!));
        Assert.True((long)info["process"]!["resident_bytes"]! > 0);
    }

    [Theory]
    [InlineData("GET", "/nowhere")]
    [InlineData("POST", "/v1/completions/x")]
    [InlineData("GET", "/v1/chat/completions/")]
    public async Task AnyMethod_UnknownRoute_IsNotFoundAsJson(string method, string path)
    {
        using var response = await _server.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        if (path.StartsWith("/v1/chat", StringComparison.Ordinal))
        {
            await ErrorAssert.IsAsync(response, HttpStatusCode.MethodNotAllowed, "method_not_allowed", null);
            return;
        }
        Assert.Contains(path, await ErrorAssert.IsAsync(response, HttpStatusCode.NotFound, "not_found", null), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET", "/v1/chat/completions", "POST")]
    [InlineData("DELETE", "/v1/models/tiny", "GET, HEAD")]
    [InlineData("POST", "/info", "GET, HEAD")]
    public async Task WrongMethod_KnownRoute_SaysWhichAreAllowed(string method, string path, string allowed)
    {
        using var response = await _server.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.MethodNotAllowed, "method_not_allowed", null);
        Assert.Contains($"expected {allowed}, found {method}", message, StringComparison.Ordinal);
        Assert.Equal(allowed, string.Join(", ", response.Content.Headers.Allow.Order()));
    }

    [Fact]
    public async Task RequestId_Given_IsEchoedInHeaderAndBody()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(TestServer.Body(), null, "application/json") };
        request.Headers.Add("X-Request-Id", "abc-123");

        using var response = await _server.Client.SendAsync(request);

        Assert.Equal("abc-123", Assert.Single(response.Headers.GetValues("X-Request-Id")));
        Assert.Equal("chatcmpl-abc-123", (string?)JsonNode.Parse(await response.Content.ReadAsStringAsync())!["id"]);
    }

    [Fact]
    public async Task RequestId_NotGiven_IsMadeUp()
    {
        using var first = await _server.Client.GetAsync("/info");
        using var second = await _server.Client.GetAsync("/info");

        Assert.NotEqual(Assert.Single(first.Headers.GetValues("X-Request-Id")), Assert.Single(second.Headers.GetValues("X-Request-Id")));
    }

    [Fact]
    public async Task RequestId_TooLongOrNotVisible_IsRefused()
    {
        foreach (var id in (string[])[new string('a', 129), "a b"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/info");
            request.Headers.TryAddWithoutValidation("X-Request-Id", id);

            using var response = await _server.Client.SendAsync(request);

            await ErrorAssert.IsAsync(response, HttpStatusCode.BadRequest, "invalid_value", "X-Request-Id");
            Assert.NotEqual(id, Assert.Single(response.Headers.GetValues("X-Request-Id")));
        }
    }

    [Fact]
    public async Task GrpcPort_RestRoute_IsNotServed()
    {
        using var client = new HttpClient { BaseAddress = _server.Host.GrpcAddress, DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };

        using var response = await client.GetAsync("/info");

        Assert.DoesNotContain("\"engine\"", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}
