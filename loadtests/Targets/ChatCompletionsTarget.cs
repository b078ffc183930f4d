using System.Net;
using System.Net.Http.Headers;

namespace Tessera.LoadTests.Targets;

/// <summary>Streams <c>POST /v1/chat/completions</c> of a Tessera server or of any other OpenAI-compatible one.</summary>
public sealed class ChatCompletionsTarget : IGenerationTarget
{
    private const string EventStream = "text/event-stream";

    private readonly RestConnection _connection;
    private readonly ServerProbe _probe;
    private readonly TimeSpan _requestTimeout;
    private readonly TimeProvider _clock;

    /// <summary>Creates a target; connects on first use.</summary>
    /// <param name="options">Address and limits.</param>
    /// <param name="clock">Clock of all latencies.</param>
    public ChatCompletionsTarget(TargetOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(options);
        _connection = new RestConnection(options, clock);
        _probe = new ServerProbe(_connection);
        _requestTimeout = options.Timeout;
        _clock = clock;
    }

    /// <inheritdoc/>
    public Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken) => _probe.GetFactsAsync(wantedModel, cancellationToken);

    /// <inheritdoc/>
    public Task<ServerMemory?> ReadMemoryAsync(CancellationToken cancellationToken) => _probe.ReadMemoryAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = ChatRequestBody.Create(request) };
        message.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(EventStream));
        using var timeout = new CancellationTokenSource(_requestTimeout, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        var sent = _clock.GetTimestamp();
        var start = request.IntendedTimestamp ?? sent;
        var state = new ChatStreamState(expectsLatentUsage: request.Mode != ReasoningMode.Plain);
        var outcome = await ExchangeAsync(message, state, start, either.Token, cancellationToken).ConfigureAwait(false);
        return outcome with { IntendedTimestamp = start, SendDelay = _clock.GetElapsedTime(start, sent) };
    }

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    private async Task<RequestOutcome> ExchangeAsync(
        HttpRequestMessage message, ChatStreamState state, long start, CancellationToken either, CancellationToken interruption)
    {
        try
        {
            using var response = await _connection.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either).ConfigureAwait(false);
            return response.StatusCode == HttpStatusCode.OK
                ? await ReadStreamAsync(response, state, start, either).ConfigureAwait(false)
                : await ReadErrorAsync(response, state, start, either).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            var elapsed = _clock.GetElapsedTime(start);
            return interruption.IsCancellationRequested
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
        var body = await RestConnection.ReadTextAsync(response, cancellationToken).ConfigureAwait(false);
        var kind = response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable ? OutcomeKind.Refused : OutcomeKind.Failed;
        return state.Fail(kind, ErrorBody.Describe(status, body), _clock.GetElapsedTime(start), status);
    }
}
