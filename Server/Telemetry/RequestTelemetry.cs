using System.Diagnostics;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Protos.Grpc;
using Tessera.Server.Security;

namespace Tessera.Server.Telemetry;

/// <summary>
/// What is recorded about one request, in one place for both fronts: the pipelines begin and end it, handlers say which generation it became, or why it was
/// refused. Every call is harmless where nothing is recorded.
/// </summary>
internal sealed class RequestTelemetry
{
    private const string Rest = "rest";
    private const string Grpc = "grpc";

    private readonly ServerMetrics? _metrics;
    private readonly string _protocol;
    private readonly RequestSpans _spans;
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly Lock _lock = new();
    private IReadOnlyList<Generation> _generations = [];
    private Task<FinishedEvent>? _finished;
    private string _operation = "";
    private DateTimeOffset _submitted;
    private bool _isRecorded;
    private Action? _endSpan;

    private RequestTelemetry(ServerMetrics? metrics, string protocol, RequestSpans spans)
    {
        _spans = spans;
        _metrics = metrics;
        _protocol = protocol;
    }

    /// <summary>Who sent the request; null until that is known. The tokens of its generation are charged to this caller.</summary>
    public CallerIdentity? Caller { get; set; }

    /// <summary>Time since the request came in.</summary>
    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_started);

    /// <summary>Begins to record a request of REST.</summary>
    public static RequestTelemetry BeginRest(HttpContext context, ServerMetrics metrics) => Begin(context, metrics, Rest, MetricNames.OfMethod(context.Request.Method));

    /// <summary>Begins to record a call of gRPC.</summary>
    public static RequestTelemetry BeginGrpc(HttpContext context, ServerMetrics metrics) => Begin(context, metrics, Grpc, "gRPC");

    /// <summary>What is recorded about the request of a context; nothing where no pipeline began it.</summary>
    public static RequestTelemetry Of(HttpContext context) => context.Features.Get<RequestTelemetry>() ?? new RequestTelemetry(null, Rest, RequestSpans.None);

    /// <summary>The request became generations, one for each prompt. Their end is recorded whether or not the client stays for it.</summary>
    /// <param name="generations">What the engine accepted; at least one.</param>
    /// <param name="operation">One of <see cref="GenAiOperation"/>.</param>
    public void Track(IReadOnlyList<Generation> generations, string operation)
    {
        (_generations, _operation, _submitted) = (generations, operation, DateTimeOffset.UtcNow);
        _finished = generations.Count == 1 ? generations[0].WhenFinished : SumAsync(generations);
        if (_metrics is { } metrics)
        {
            _spans.Describe(generations[0].Request, operation, metrics.Model);
            _ = RecordWhenFinishedAsync(metrics, _finished);
        }

        if (Caller is { } caller)
        {
            foreach (var generation in generations)
            {
                _ = ChargeAsync(caller.Limits, generation);
            }
        }
    }

    /// <summary>The request is answered with an error. Counts as a rejection when nothing was generated for it.</summary>
    /// <param name="reason">Stable name of the error, <c>error.code</c> of REST.</param>
    public void Refuse(string reason)
    {
        if (_finished is null)
        {
            _metrics?.RecordRejection(reason, _protocol);
        }
    }

    /// <summary>A request of REST has ended.</summary>
    public void EndRest(HttpContext context, ILogger logger, string path)
    {
        var (time, status) = (Elapsed, context.Response.StatusCode);
        var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;
        _metrics?.RecordHttp(context.Request.Method, route, status, time);
        var method = MetricNames.OfMethod(context.Request.Method);
        EndSpan(() => _spans.EndRest(method, route, status));
        var generated = DescribeGeneration(logger, context.TraceIdentifier);
        Log.RequestFinished(logger, context.Request.Method, path, status, time.TotalMilliseconds, context.TraceIdentifier, generated);
    }

    /// <summary>A call of gRPC has ended.</summary>
    /// <param name="requestId">Id of the call.</param>
    /// <param name="logger">For the access log.</param>
    /// <param name="path">Path as it was called, cut to a length that a log line bears.</param>
    /// <param name="isKnown">Whether there is such a method.</param>
    /// <param name="status">Its status.</param>
    public void EndGrpc(string requestId, ILogger logger, string path, bool isKnown, GrpcStatusCode status)
    {
        var time = Elapsed;
        _metrics?.RecordGrpc(isKnown ? path : null, status, time);
        EndSpan(() => _spans.EndGrpc(isKnown ? path : null, status));
        Log.CallFinished(logger, path, status, time.TotalMilliseconds, requestId, DescribeGeneration(logger, requestId));
    }

    private static RequestTelemetry Begin(HttpContext context, ServerMetrics metrics, string protocol, string name)
    {
        var telemetry = new RequestTelemetry(metrics, protocol, RequestSpans.Begin(context, name));
        context.Features.Set(telemetry);
        return telemetry;
    }

    private static async Task<FinishedEvent> SumAsync(IReadOnlyList<Generation> generations) =>
        FinishedEvent.Sum(await Task.WhenAll(generations.Select(generation => generation.WhenFinished)).ConfigureAwait(false));

    private async Task RecordWhenFinishedAsync(ServerMetrics metrics, Task<FinishedEvent> finished) =>
        Record(metrics, await finished.ConfigureAwait(false));

    private void Record(ServerMetrics metrics, FinishedEvent finished)
    {
        lock (_lock)
        {
            if (_isRecorded)
            {
                return;
            }

            _isRecorded = true;
            foreach (var generation in _generations)
            {
                metrics.RecordFinished(generation.Request, generation.WhenFinished.Result, _operation, _protocol);
            }

            _spans.AddGeneration(finished, _submitted);
            _endSpan?.Invoke();
        }
    }

    // The span ends when both the response and the generation have: whichever comes last.
    private void EndSpan(Action end)
    {
        if (_metrics is { } metrics && _finished is { IsCompletedSuccessfully: true } finished)
        {
            Record(metrics, finished.Result);
        }

        lock (_lock)
        {
            _endSpan = end;
            if (_finished is null || _isRecorded)
            {
                end();
            }
        }
    }

    // All that it may take is taken at once, or many requests together would overdraw the limit; what was not needed is given back.
    private static async Task ChargeAsync(CallerLimits limits, Generation generation)
    {
        var request = generation.Request;
        var most = request.PromptIds.Count + 1 + ((long)request.MaxTokens * request.N);
        limits.ChargeTokens(most);
        var usage = (await generation.WhenFinished.ConfigureAwait(false)).Usage;
        limits.ChargeTokens(usage.PromptTokens + usage.CompletionTokens - most);
    }

    // A client that goes away leaves its generation a step behind: what it took is logged when it has ended too.
    private string DescribeGeneration(ILogger logger, string requestId)
    {
        if (_finished is not { } finished)
        {
            return "";
        }

        if (finished.IsCompletedSuccessfully)
        {
            return $", {Describe(finished.Result)}";
        }

        _ = LogAbandonedAsync(finished, logger, requestId);
        return ", abandoned";
    }

    private static async Task LogAbandonedAsync(Task<FinishedEvent> finished, ILogger logger, string requestId) =>
        Log.AbandonedFinished(logger, requestId, Describe(await finished.ConfigureAwait(false)));

    private static string Describe(FinishedEvent finished)
    {
        var usage = finished.Usage;
        return $"{MetricNames.Of(finished.Reason)}, tokens: {usage.PromptTokens} prompt, {usage.CompletionTokens} completion, {usage.LatentTokens} latent";
    }
}

/// <summary>Operations as GenAI's conventions name them.</summary>
internal static class GenAiOperation
{
    /// <summary>A chat.</summary>
    public const string Chat = "chat";

    /// <summary>A plain prompt.</summary>
    public const string TextCompletion = "text_completion";

    /// <summary>Anything else that generates.</summary>
    public const string GenerateContent = "generate_content";
}
