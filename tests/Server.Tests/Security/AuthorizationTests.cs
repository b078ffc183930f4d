using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Api.Grpc;
using Tessera.Server.Api.Page;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Security;

/// <summary>Default deny: every route and method there is, with and without a key.</summary>
public sealed class AuthorizationTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private TestServer _server = null!;
    private string _key = "";

    private string KeyPath => _folder["keys.json"];

    public async ValueTask InitializeAsync()
    {
        _key = TestKeys.Add(KeyPath, "alice");
        _server = await TestServer.StartAsync(keys: TestKeys.Open(KeyPath));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Rest_EveryRouteWithoutAKey_IsRefusedButHealthAndThePage()
    {
        var open = new SortedSet<string>(StringComparer.Ordinal);
        var refused = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var (method, path) in Routes())
        {
            using var response = await SendAsync(method, path, key: null);
            (response.StatusCode == HttpStatusCode.Unauthorized ? refused : open).Add(path);
        }

        string[] expected = [.. PageFile.All.Select(file => file.Path), "/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"];
        Assert.Equal(expected.Order(StringComparer.Ordinal), open);
        Assert.Superset(new HashSet<string> { "/v1/chat/completions", "/v1/models", "/v1/models/x", "/info", "/metrics", "/tokenize" }, refused.ToHashSet());
    }

    [Fact]
    public async Task Rest_EveryRouteWithAKey_IsServed()
    {
        foreach (var (method, path) in Routes())
        {
            using var response = await SendAsync(method, path, _key);

            Assert.NotEqual(HttpStatusCode.Unauthorized, response.StatusCode);
        }
    }

    [Fact]
    public async Task Grpc_EveryMethodWithoutAKey_IsUnauthenticatedButHealth()
    {
        var methods = GrpcMethods.Create(_server.Host.Services);
        var open = new List<string>();
        foreach (var method in methods)
        {
            // A watch of the health service has no end of its own.
            using var response = await SendGrpcAsync(method.Path, key: null, request => request.Headers.Add("grpc-timeout", "200m"));
            if (StatusOf(response) is not (GrpcStatusCode.Unauthenticated))
            {
                open.Add(method.Path);
            }
        }

        Assert.Equal(["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"], open);
        Assert.True(methods.Count > 5);
    }

    [Fact]
    public async Task Grpc_EveryMethodWithAKey_IsServed()
    {
        foreach (var method in GrpcMethods.Create(_server.Host.Services))
        {
            using var response = await SendGrpcAsync(method.Path, _key, request => request.Headers.Add("grpc-timeout", "200m"));

            Assert.NotEqual(GrpcStatusCode.Unauthenticated, StatusOf(response));
        }
    }

    [Theory]
    [InlineData("GET", "/nowhere")]
    [InlineData("DELETE", "/v1/models")]
    [InlineData("POST", "/health/ready")]
    [InlineData("OPTIONS", "/v1/chat/completions")]
    public async Task Rest_UnknownRouteOrMethodWithoutAKey_IsRefusedBeforeItIsSaidWhatThereIs(string method, string path)
    {
        using var response = await SendAsync(method, path, key: null);

        var message = await ErrorAssert.IsAsync(response, HttpStatusCode.Unauthorized, "invalid_api_key", null);
        Assert.Equal("Authorization: expected 'Bearer' and a valid API key, found none", message);
        Assert.Equal("Bearer", response.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task Grpc_UnknownMethodWithoutAKey_IsUnauthenticated()
    {
        using var response = await SendGrpcAsync("/made.Up/Method", key: null);

        Assert.Equal(GrpcStatusCode.Unauthenticated, StatusOf(response));
    }

    [Fact]
    public async Task WrongKeys_OfAnyKind_AreRefusedAlike()
    {
        var other = _key[..^1] + (_key[^1] == 'A' ? 'B' : 'A');
        string?[] wrong = ["", "x", "tsk_", other, _key + "x", _key[..^1], _key.ToUpperInvariant(), new string('a', 5000), _key.Replace("tsk_", "tsk-", StringComparison.Ordinal)];
        foreach (var key in wrong)
        {
            using var response = await SendAsync("GET", "/info", key);
            var message = await ErrorAssert.IsAsync(response, HttpStatusCode.Unauthorized, "invalid_api_key", null);
            Assert.EndsWith("found one that is unknown, expired or revoked", message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("Bearer", HttpStatusCode.OK)]
    [InlineData("bearer", HttpStatusCode.OK)]
    [InlineData("Basic", HttpStatusCode.Unauthorized)]
    public async Task Scheme_OtherThanBearer_IsRefused(string scheme, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/info");
        request.Headers.Authorization = new AuthenticationHeaderValue(scheme, _key);

        using var response = await _server.Client.SendAsync(request);

        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task Generation_WithAKey_IsAnsweredOverBothFronts()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(TestServer.Body(), null, "application/json") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _key);
        using var rest = await _server.Client.SendAsync(request);
        using var grpc = await SendGrpcAsync(GrpcCalls.Generate, _key, body: GrpcCalls.Frame(GrpcCalls.NewRequest()));

        Assert.Equal(HttpStatusCode.OK, rest.StatusCode);
        Assert.Equal(GrpcStatusCode.OK, StatusOf(grpc));
        Assert.DoesNotContain(_server.Logs.Entries, entry => entry.Text.Contains(_key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_KeyRevokedAndAnotherAdded_TakesEffectWithoutARestart()
    {
        TestKeys.Revoke(KeyPath, "alice");
        var bob = TestKeys.Add(KeyPath, "bob");

        await WaitForAsync(bob, HttpStatusCode.OK);
        await WaitForAsync(_key, HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Reload_FileBecomesWrong_KeepsTheKeysAndSaysSo()
    {
        await File.WriteAllTextAsync(KeyPath, "{ \"keys\": [ { \"id\": 1 } ] }");

        await WaitForLogAsync("A change was not taken over: " + KeyPath);
        await WaitForAsync(_key, HttpStatusCode.OK);
    }

    private async Task WaitForAsync(string key, HttpStatusCode wanted)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            using var response = await SendAsync("GET", "/info", key);
            if (response.StatusCode == wanted)
            {
                return;
            }

            await Task.Delay(20, patience.Token);
        }
    }

    private async Task WaitForLogAsync(string text)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!_server.Logs.Entries.Any(entry => entry.Text.Contains(text, StringComparison.Ordinal)))
        {
            await Task.Delay(20, patience.Token);
        }
    }

    // As the router has them, not as a table says: a route that is mapped beside the table is found too.
    private IEnumerable<(string Method, string Path)> Routes() =>
        from endpoint in _server.Host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
        from method in endpoint.Metadata.GetRequiredMetadata<HttpMethodMetadata>().HttpMethods
        select (method, endpoint.RoutePattern.RawText!.Replace("{**id}", "x", StringComparison.Ordinal));

    private async Task<HttpResponseMessage> SendAsync(string method, string path, string? key)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + key);
        }

        return await _server.Client.SendAsync(request);
    }

    private Task<HttpResponseMessage> SendGrpcAsync(string path, string? key, Action<HttpRequestMessage>? change = null, byte[]? body = null) =>
        _server.SendAsync(path, body ?? GrpcCalls.Frame(new GenerateRequest()), request =>
        {
            change?.Invoke(request);
            if (key is not null)
            {
                request.Headers.TryAddWithoutValidation("authorization", "Bearer " + key);
            }
        });

    private static GrpcStatusCode StatusOf(HttpResponseMessage response)
    {
        var headers = response.Headers.Concat(response.TrailingHeaders).ToDictionary(header => header.Key, header => header.Value.Single());
        return GrpcHeaders.ParseStatus(headers["grpc-status"]);
    }
}
