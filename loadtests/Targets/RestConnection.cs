using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>HTTP to one server: connection pool, key, small documents.</summary>
internal sealed class RestConnection : IDisposable
{
    // Errors, /info and /metrics are small; a stream has no limit but the request's time.
    private const int MaxBodyBytes = 4 << 20;

    // A server that does not say who it is within this time is not there. Generous: it may be at the top of its load.
    private static readonly TimeSpan DocumentTimeout = TimeSpan.FromSeconds(30);

    private readonly TimeProvider _clock;

    public RestConnection(TargetOptions options, TimeProvider clock)
    {
        _clock = clock;
        BaseAddress = options.Url;

        // No proxy: what is measured is the server. Two connections more: documents are read beside the requests.
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, MaxConnectionsPerServer = options.Connections + 2 };
        Client = new HttpClient(handler) { BaseAddress = options.Url, Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxBodyBytes };
        if (options.ApiKey is { } key)
        {
            Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
    }

    public HttpClient Client { get; }

    public Uri BaseAddress { get; }

    /// <exception cref="LoadTestException">The server does not answer, or not with JSON.</exception>
    public async Task<JsonDocument> GetRequiredJsonAsync(string path, CancellationToken cancellationToken)
    {
        var body = await GetRequiredTextAsync(path, cancellationToken).ConfigureAwait(false);
        try
        {
            return JsonDocument.Parse(body);
        }
        catch (JsonException e)
        {
            throw new LoadTestException($"{BaseAddress}: GET {path} did not answer JSON; is this the REST address of an OpenAI-compatible server?", e);
        }
    }

    /// <summary>Null when the server does not answer with JSON.</summary>
    public async Task<JsonDocument?> TryGetJsonAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await GetRequiredJsonAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (LoadTestException)
        {
            return null;
        }
    }

    /// <summary>Null when the server does not answer with success.</summary>
    public async Task<string?> TryGetTextAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await GetRequiredTextAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (LoadTestException)
        {
            return null;
        }
    }

    public static async Task<string> ReadTextAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await response.Content.LoadIntoBufferAsync(MaxBodyBytes, cancellationToken).ConfigureAwait(false);
        return Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false));
    }

    public void Dispose() => Client.Dispose();

    private async Task<string> GetRequiredTextAsync(string path, CancellationToken cancellationToken)
    {
        var (status, body) = await GetAsync(path, cancellationToken).ConfigureAwait(false);
        if (status == HttpStatusCode.OK)
        {
            return body;
        }

        var hint = status == HttpStatusCode.Unauthorized ? "; set the key in TESSERA_API_KEY or --api-key-file" : "";
        throw new LoadTestException($"{BaseAddress}: GET {path} answered {ErrorBody.Describe((int)status, body)}{hint}");
    }

    private async Task<(HttpStatusCode Status, string Body)> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(DocumentTimeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            var address = new Uri(path, UriKind.Relative);
            using var response = await Client.GetAsync(address, HttpCompletionOption.ResponseHeadersRead, either.Token).ConfigureAwait(false);
            return (response.StatusCode, await ReadTextAsync(response, either.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException e) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new LoadTestException($"{BaseAddress}: no answer within {DocumentTimeout.TotalSeconds:0} s", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new LoadTestException($"{BaseAddress}: cannot reach the server; is it running, and is this its REST address?", e);
        }
    }
}
