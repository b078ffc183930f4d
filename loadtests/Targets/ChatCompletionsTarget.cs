using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>Streams <c>POST /v1/chat/completions</c> of a Tessera server.</summary>
public sealed class ChatCompletionsTarget : IGenerationTarget
{
    private const string EventStream = "text/event-stream";

    // Errors and /info are small; a stream has no limit but the request's time.
    private const int MaxBodyBytes = 1 << 20;

    // A server that does not say who it is within this time is not there. Generous: it may be at the top of its load.
    private static readonly TimeSpan FactsTimeout = TimeSpan.FromSeconds(30);

    private readonly HttpClient _client;
    private readonly Uri _baseAddress;
    private readonly TimeSpan _requestTimeout;
    private readonly TimeProvider _clock;

    /// <summary>Creates a target; connects on first use.</summary>
    /// <param name="baseAddress">Address of the server, without a path.</param>
    /// <param name="concurrency">Requests at once: the connections that are kept open.</param>
    /// <param name="requestTimeout">Time after which a request counts as timed out.</param>
    /// <param name="clock">Clock of all latencies.</param>
    public ChatCompletionsTarget(Uri baseAddress, int concurrency, TimeSpan requestTimeout, TimeProvider clock)
    {
        _baseAddress = baseAddress;
        _requestTimeout = requestTimeout;
        _clock = clock;

        // No proxy: what is measured is the server. Two connections more: /info is read beside the requests.
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, MaxConnectionsPerServer = concurrency + 2 };
        _client = new HttpClient(handler) { BaseAddress = baseAddress, Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxBodyBytes };
    }

    /// <inheritdoc/>
    public async Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken)
    {
        using var models = await GetRequiredAsync("/v1/models", cancellationToken).ConfigureAwait(false);
        var ids = ReadModelIds(models.RootElement);
        var model = wantedModel ?? (ids.Count == 1 ? ids[0] : throw new LoadTestException(
            ids.Count == 0 ? $"{_baseAddress}: /v1/models lists no model" : $"--model: the server has several models: {string.Join(", ", ids)}"));
        if (!ids.Contains(model))
        {
            throw new LoadTestException($"--model: the server has no model \"{model}\"; it has: {string.Join(", ", ids)}");
        }

        using var info = await TryGetAsync("/info", cancellationToken).ConfigureAwait(false);
        var bytes = info is not null && info.RootElement.TryGetObject("engine", out var engine) ? engine.ReadLong("kv_bytes_per_position") : null;
        return new ServerFacts(model, bytes);
    }

    /// <inheritdoc/>
    public async Task<KvCacheState?> ReadKvCacheAsync(CancellationToken cancellationToken)
    {
        using var info = await TryGetAsync("/info", cancellationToken).ConfigureAwait(false);
        return info is not null && info.RootElement.TryGetObject("engine", out var engine) && engine.ReadLong("kv_bytes_in_use") is { } inUse
            ? new KvCacheState(inUse, engine.ReadLong("kv_bytes_peak"))
            : null;
    }

    /// <inheritdoc/>
    public async Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken)
    {
        var state = new ChatStreamState();
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = ChatRequestBody.Create(request) };
        message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(EventStream));
        using var timeout = new CancellationTokenSource(_requestTimeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        var start = _clock.GetTimestamp();
        try
        {
            using var response = await _client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token).ConfigureAwait(false);
            return response.StatusCode == HttpStatusCode.OK
                ? await ReadStreamAsync(response, state, start, either.Token).ConfigureAwait(false)
                : await ReadErrorAsync(response, state, start, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            var elapsed = _clock.GetElapsedTime(start);
            return cancellationToken.IsCancellationRequested
                ? state.Fail(OutcomeKind.Interrupted, "interrupted", elapsed)
                : state.Fail(OutcomeKind.TimedOut, $"no end after {_requestTimeout.TotalSeconds:0.###} s", elapsed);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            var neverConnected = e is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError };
            var reason = neverConnected ? "cannot connect" : "the connection broke before the stream ended";
            return state.Fail(OutcomeKind.Failed, reason, _clock.GetElapsedTime(start));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private async Task<RequestOutcome> ReadStreamAsync(HttpResponseMessage response, ChatStreamState state, long start, CancellationToken cancellationToken)
    {
        var contentType = response.Content.Headers.ContentType?.MediaType;
        if (contentType is not EventStream)
        {
            return state.Fail(OutcomeKind.Failed, $"expected content type {EventStream}, found {contentType ?? "none"}", _clock.GetElapsedTime(start));
        }

        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            return await ChatStreamReader.ReadAsync(stream, state, () => _clock.GetElapsedTime(start), cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<RequestOutcome> ReadErrorAsync(HttpResponseMessage response, ChatStreamState state, long start, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        var body = await ReadTextAsync(response, cancellationToken).ConfigureAwait(false);
        var kind = response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable ? OutcomeKind.Refused : OutcomeKind.Failed;
        return state.Fail(kind, ErrorBody.Describe(status, body), _clock.GetElapsedTime(start), status);
    }

    private async Task<JsonDocument> GetRequiredAsync(string path, CancellationToken cancellationToken)
    {
        var (status, body) = await GetAsync(path, cancellationToken).ConfigureAwait(false);
        if (status != HttpStatusCode.OK)
        {
            throw new LoadTestException($"{_baseAddress}: GET {path} answered {ErrorBody.Describe((int)status, body)}");
        }

        try
        {
            return JsonDocument.Parse(body);
        }
        catch (JsonException e)
        {
            throw new LoadTestException($"{_baseAddress}: GET {path} did not answer JSON; is this a Tessera server's REST address?", e);
        }
    }

    private async Task<JsonDocument?> TryGetAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return await GetRequiredAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (LoadTestException)
        {
            return null;
        }
    }

    private async Task<(HttpStatusCode Status, string Body)> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(FactsTimeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            var address = new Uri(path, UriKind.Relative);
            using var response = await _client.GetAsync(address, HttpCompletionOption.ResponseHeadersRead, either.Token).ConfigureAwait(false);
            return (response.StatusCode, await ReadTextAsync(response, either.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException e) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new LoadTestException($"{_baseAddress}: no answer within {FactsTimeout.TotalSeconds:0} s", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new LoadTestException($"{_baseAddress}: cannot reach the server; is it running, and is this its REST address?", e);
        }
    }

    private static async Task<string> ReadTextAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await response.Content.LoadIntoBufferAsync(MaxBodyBytes, cancellationToken).ConfigureAwait(false);
        return Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false));
    }

    private static List<string> ReadModelIds(JsonElement models)
    {
        var ids = new List<string>();
        if (models.ValueKind == JsonValueKind.Object && models.TryGetProperty("data", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            ids.AddRange(list.EnumerateArray().Select(model => model.ReadString("id")).OfType<string>());
        }

        return ids;
    }
}
