using System.Net;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Security;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Security;

public sealed class RateLimitTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();

    private string KeyPath => _folder["keys.json"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Requests_LimitReached_ComeAgainAsTimePasses()
    {
        var limits = new CallerLimits(_time);
        limits.Configure(requestsPerMinute: 2, tokensPerMinute: 0);

        Assert.Null(limits.TakeRequest());
        Assert.Null(limits.TakeRequest());
        Assert.Equal(new RateRefusal("requests", 2, TimeSpan.FromSeconds(30)), limits.TakeRequest());
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Null(limits.TakeRequest());
        Assert.NotNull(limits.TakeRequest());
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Null(limits.TakeRequest());
        Assert.Null(limits.TakeRequest());
        Assert.NotNull(limits.TakeRequest());
    }

    [Fact]
    public void Tokens_Overdrawn_ArePaidBackFirst()
    {
        var limits = new CallerLimits(_time);
        limits.Configure(requestsPerMinute: 0, tokensPerMinute: 60);

        Assert.Null(limits.TakeRequest());
        limits.ChargeTokens(90);
        Assert.Equal(new RateRefusal("tokens", 60, TimeSpan.FromSeconds(31)), limits.TakeRequest());
        limits.ChargeTokens(-20);
        Assert.Equal(TimeSpan.FromSeconds(11), limits.TakeRequest()!.RetryAfter);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Null(limits.TakeRequest());
    }

    [Fact]
    public void Tokens_MoreGivenBackThanTaken_NeverExceedTheLimit()
    {
        var limits = new CallerLimits(_time);
        limits.Configure(requestsPerMinute: 0, tokensPerMinute: 60);

        limits.ChargeTokens(-1000);
        limits.ChargeTokens(60);

        Assert.NotNull(limits.TakeRequest());
    }

    [Fact]
    public void Configure_SameLimit_KeepsWhatWasUsedUp()
    {
        var limits = new CallerLimits(_time);
        limits.Configure(1, 0);
        Assert.Null(limits.TakeRequest());

        limits.Configure(1, 0);
        Assert.NotNull(limits.TakeRequest());
        limits.Configure(0, 0);
        Assert.Null(limits.TakeRequest());
    }

    [Fact]
    public async Task Requests_KeyOverItsLimit_IsToldWhenToComeBackOverBothFrontsAndOthersGoOn()
    {
        var alice = TestKeys.Add(KeyPath, "alice", key => key with { RequestsPerMinute = 2 });
        var bob = TestKeys.Add(KeyPath, "bob");
        await using var server = await TestServer.StartAsync(keys: TestKeys.Open(KeyPath, _time));

        using var first = await PostAsync(server, alice);
        using var second = await PostAsync(server, alice);
        using var third = await PostAsync(server, alice);
        using var grpc = await server.SendAsync(
            GrpcCalls.Generate, GrpcCalls.Frame(GrpcCalls.NewRequest()), request => request.Headers.Add("authorization", "Bearer " + alice));
        using var other = await PostAsync(server, bob);
        using var read = new HttpRequestMessage(HttpMethod.Get, "/info") { Headers = { Authorization = new("Bearer", alice) } };
        using var info = await server.Client.SendAsync(read);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.OK), (first.StatusCode, second.StatusCode, other.StatusCode, info.StatusCode));
        var message = await ErrorAssert.IsAsync(third, HttpStatusCode.TooManyRequests, "rate_limit_exceeded", null);
        Assert.Equal("the limit of 2 requests per minute is reached; try again later", message);
        Assert.Equal(TimeSpan.FromSeconds(30), third.Headers.RetryAfter!.Delta);
        Assert.Equal([((int)GrpcStatusCode.ResourceExhausted).ToString()], grpc.Headers.GetValues("grpc-status"));
        Assert.Equal(["30000"], grpc.Headers.GetValues("grpc-retry-pushback-ms"));
        _time.Advance(TimeSpan.FromSeconds(30));
        using var later = await PostAsync(server, alice);
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Fact]
    public async Task Tokens_KeyOverItsLimit_IsRefusedUntilWhatItTookIsPaidBack()
    {
        var alice = TestKeys.Add(KeyPath, "alice", key => key with { TokensPerMinute = 1 });
        await using var server = await TestServer.StartAsync(keys: TestKeys.Open(KeyPath, _time));

        using var first = await PostAsync(server, alice);
        var usage = JsonNode.Parse(await first.Content.ReadAsStringAsync())!["usage"]!;
        using var second = await PostAsync(server, alice);

        var message = await ErrorAssert.IsAsync(second, HttpStatusCode.TooManyRequests, "rate_limit_exceeded", null);
        Assert.Equal("the limit of 1 tokens per minute is reached; try again later", message);
        // One token was there; all that it took must flow in again, at one a minute, and what it might have taken must have been given back.
        await WaitUntilAsync(server, alice, TimeSpan.FromMinutes((int)usage["total_tokens"]!));
        _time.Advance(TimeSpan.FromMinutes((int)usage["total_tokens"]!));
        using var later = await PostAsync(server, alice);
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
    }

    [Fact]
    public async Task Tokens_KeyOverItsLimitOverGrpc_IsResourceExhaustedWithTheTimeToComeBack()
    {
        var alice = TestKeys.Add(KeyPath, "alice", key => key with { TokensPerMinute = 1 });
        await using var server = await TestServer.StartAsync(keys: TestKeys.Open(KeyPath, _time));
        using var client = server.NewClient();
        var options = new GrpcCallOptions { Metadata = [new("authorization", "Bearer " + alice)] };
        Task<GenerateResponse> CallAsync() => client.UnaryAsync("/tessera.v1.Inference/GenerateOnce", GrpcCalls.NewRequest(), GenerateResponse.Parser, options);

        // Exactly at the bound there is still one token, for which a request may go on.
        var usage = (await CallAsync()).Finished.Usage;
        var total = (int)(usage.PromptTokens + usage.CompletionTokens);
        await WaitUntilAsync(server, alice, TimeSpan.FromMinutes(total));
        var error = await Assert.ThrowsAsync<GrpcStatusException>(CallAsync);

        Assert.Equal((GrpcStatusCode.ResourceExhausted, "the limit of 1 tokens per minute is reached; try again later"), (error.Code, error.Detail));
        Assert.Equal("rate_limit_exceeded", StatusDetails.Of(error).Reason);
        Assert.Equal(TimeSpan.FromMinutes(total), StatusDetails.Of(error).RetryDelay);
        Assert.Equal($"{total * 60_000}", error.GetTrailer("grpc-retry-pushback-ms"));
        _time.Advance(TimeSpan.FromMinutes(total));
        Assert.NotEmpty((await CallAsync()).Choices);
    }

    [Fact]
    public async Task Defaults_NoKeysConfigured_BoundEverybodyTogether()
    {
        await using var server = await TestServer.StartAsync(keys: new KeyStore(null, new(1, 0), _time));

        using var first = await server.PostAsync(TestServer.Body());
        using var second = await server.PostAsync(TestServer.Body());

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.TooManyRequests), (first.StatusCode, second.StatusCode));
    }

    // What was not needed is given back just after the response: the time to come back settles at what was really taken.
    private static async Task WaitUntilAsync(TestServer server, string key, TimeSpan retryAfter)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            using var response = await PostAsync(server, key);
            if (response.Headers.RetryAfter!.Delta == retryAfter)
            {
                return;
            }

            await Task.Delay(10, patience.Token);
        }
    }

    private static async Task<HttpResponseMessage> PostAsync(TestServer server, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(TestServer.Body(), null, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return await server.Client.SendAsync(request);
    }
}
