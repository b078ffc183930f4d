using System.Diagnostics;
using Tessera.Engine.Requests;
using Tessera.Protos.Grpc;

namespace Tessera.Server.Telemetry;

/// <summary>The spans of one request, by the GenAI conventions of OpenTelemetry: one for the server, and one each for queue, prefill and decode.</summary>
internal sealed class RequestSpans
{
    /// <summary>Name of the activity source.</summary>
    public const string SourceName = "Tessera.Server";

    private const int FirstServerError = 500;

    private static readonly ActivitySource Source = new(SourceName);

    private readonly Activity? _server;

    private RequestSpans(Activity? server) => _server = server;

    /// <summary>Nothing is recorded.</summary>
    public static RequestSpans None { get; } = new(null);

    /// <summary>Begins the span of a request, under the span that its <c>traceparent</c> names; the response says which span it is.</summary>
    /// <param name="context">The request.</param>
    /// <param name="name">Name until more is known.</param>
    public static RequestSpans Begin(HttpContext context, string name)
    {
        if (!Source.HasListeners())
        {
            return None;
        }

        var headers = context.Request.Headers;
        var isChild = ActivityContext.TryParse(headers.TraceParent, headers.TraceState, isRemote: true, out var parent);
        // The web server's own activity is not exported: as a parent it would be missing in the trace.
        Activity.Current = null;
        var server = isChild ? Source.StartActivity(name, ActivityKind.Server, parent) : Source.StartActivity(name, ActivityKind.Server);
        if (server is not null)
        {
            context.Response.Headers["traceresponse"] = $"00-{server.TraceId}-{server.SpanId}-{(server.Recorded ? "01" : "00")}";
        }

        return new RequestSpans(server);
    }

    /// <summary>The request became a generation.</summary>
    public void Describe(GenerationRequest request, string operation, string model)
    {
        if (_server is not { } span)
        {
            return;
        }

        span.DisplayName = $"{operation} {model}";
        span.SetTag(MetricTags.Operation, operation)
            .SetTag(MetricTags.Provider, ServerMetrics.Provider)
            .SetTag(MetricTags.Model, model)
            .SetTag("gen_ai.response.model", model)
            .SetTag("gen_ai.response.id", request.RequestId)
            .SetTag("gen_ai.request.max_tokens", request.MaxTokens)
            .SetTag("gen_ai.request.temperature", (double)request.Sampling.Temperature)
            .SetTag("gen_ai.request.top_p", (double)request.Sampling.TopP)
            .SetTag("gen_ai.request.top_k", request.Sampling.TopK)
            .SetTag("gen_ai.request.seed", (long)request.Sampling.Seed)
            .SetTag("tessera.reasoning.mode", MetricNames.Of(request.Reasoning.Mode));
        if (request.N > 1)
        {
            span.SetTag("gen_ai.request.choice.count", request.N);
        }
    }

    /// <summary>The generation has ended: tells what it took, and adds a span for each part of its life.</summary>
    /// <param name="finished">Its last event.</param>
    /// <param name="submitted">When it was submitted.</param>
    public void AddGeneration(FinishedEvent finished, DateTimeOffset submitted)
    {
        if (_server is not { } span)
        {
            return;
        }

        var (usage, timings) = (finished.Usage, finished.Timings);
        span.SetTag("gen_ai.usage.input_tokens", usage.PromptTokens)
            .SetTag("gen_ai.usage.output_tokens", usage.CompletionTokens)
            .SetTag("gen_ai.usage.cache_read.input_tokens", usage.CachedTokens)
            .SetTag("gen_ai.usage.reasoning.output_tokens", usage.ReasoningTokens)
            .SetTag("tessera.usage.latent_tokens", usage.LatentTokens)
            .SetTag("tessera.usage.tokens_saved", finished.Savings.TokensSaved)
            .SetTag("gen_ai.response.finish_reasons", new[] { MetricNames.Of(finished.Reason) });
        AddPart("queue", submitted, timings.Queue, null, 0);
        if (usage.CompletionTokens == 0)
        {
            return;
        }

        span.SetTag("gen_ai.response.time_to_first_chunk", timings.TimeToFirstToken.TotalSeconds);
        AddPart("prefill", submitted + timings.Queue, timings.Prefill, "gen_ai.usage.input_tokens", usage.PromptTokens);
        AddPart("decode", submitted + timings.TimeToFirstToken, timings.Total - timings.TimeToFirstToken, "gen_ai.usage.output_tokens", usage.CompletionTokens);
    }

    /// <summary>A request of REST has ended.</summary>
    public void EndRest(string method, string? route, int status)
    {
        _server?.SetTag(MetricTags.HttpMethod, method).SetTag(MetricTags.HttpRoute, route).SetTag(MetricTags.HttpStatus, status);
        End(status >= FirstServerError ? $"{status}" : null);
    }

    /// <summary>A call of gRPC has ended.</summary>
    public void EndGrpc(string? method, GrpcStatusCode status)
    {
        _server?.SetTag("rpc.system.name", "grpc").SetTag(MetricTags.RpcMethod, method).SetTag(MetricTags.RpcStatus, MetricNames.Of(status));
        End(status is GrpcStatusCode.Internal or GrpcStatusCode.Unavailable or GrpcStatusCode.Unknown or GrpcStatusCode.DataLoss ? MetricNames.Of(status) : null);
    }

    private void End(string? error)
    {
        if (error is not null)
        {
            _server?.SetTag(MetricTags.ErrorType, error).SetStatus(ActivityStatusCode.Error);
        }

        _server?.Dispose();
    }

    // Made when all is over: until then the engine only notes times.
    private void AddPart(string name, DateTimeOffset start, TimeSpan duration, string? tag, int value)
    {
        using var part = Source.StartActivity(name, ActivityKind.Internal, _server!.Context, startTime: start);
        part?.SetEndTime((start + duration).UtcDateTime);
        if (tag is not null)
        {
            part?.SetTag(tag, value);
        }
    }
}
