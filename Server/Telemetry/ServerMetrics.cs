using System.Diagnostics;
using System.Diagnostics.Metrics;
using Tessera.Engine.Requests;
using Tessera.Protos.Grpc;

namespace Tessera.Server.Telemetry;

/// <summary>Every instrument that the server records into; gauges that are read are in <see cref="ServerGauges"/>. One per host.</summary>
internal sealed class ServerMetrics : IDisposable
{
    /// <summary>Name of the meter.</summary>
    public const string MeterName = "Tessera.Server";

    /// <summary>Provider in the sense of GenAI's conventions.</summary>
    public const string Provider = "tessera";

    private readonly string _model;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _timeToFirstToken;
    private readonly Histogram<double> _timePerOutputToken;
    private readonly Histogram<double> _requestTokens;
    private readonly Histogram<double> _queueTime;
    private readonly Histogram<double> _prefillTime;
    private readonly Histogram<double> _decodeTime;
    private readonly Histogram<double> _httpDuration;
    private readonly Histogram<double> _grpcDuration;
    private readonly Counter<long> _requests;
    private readonly Counter<long> _rejections;
    private readonly Counter<long> _stalls;
    private readonly Counter<long> _tokens;
    private readonly Counter<double> _textEquivalentTokens;
    private readonly Counter<long> _latentSpans;
    private readonly Counter<long> _budgetHits;
    private readonly UpDownCounter<double> _savedTokens;
    private readonly UpDownCounter<double> _savedKvBytes;
    private readonly UpDownCounter<double> _savedSeconds;

    /// <summary>Creates the instruments.</summary>
    /// <param name="model">Name of the served model.</param>
    public ServerMetrics(string model)
    {
        _model = model;
        Meter = new Meter(new MeterOptions(MeterName));
        _duration = Histogram(InstrumentNames.RequestDuration, "s", "Time from submission to the last token.", MetricBuckets.RequestSeconds);
        _timeToFirstToken = Histogram(InstrumentNames.TimeToFirstToken, "s", "Time from submission to the first token of any kind.", MetricBuckets.FirstTokenSeconds);
        _timePerOutputToken = Histogram(
            InstrumentNames.TimePerOutputToken, "s", "Mean time between the tokens of a response after its first.", MetricBuckets.OutputTokenSeconds);
        _requestTokens = Histogram(InstrumentNames.TokenUsage, "{token}", "Tokens of a request, by type.", MetricBuckets.Tokens);
        _queueTime = Histogram(InstrumentNames.QueueTime, "s", "Time until a request got a slot.", MetricBuckets.RequestSeconds);
        _prefillTime = Histogram(InstrumentNames.PrefillTime, "s", "Time from the slot to the first token.", MetricBuckets.RequestSeconds);
        _decodeTime = Histogram(InstrumentNames.DecodeTime, "s", "Time from the first token to the end.", MetricBuckets.RequestSeconds);
        _httpDuration = Histogram(InstrumentNames.HttpDuration, "s", "Time of REST requests, whatever they were.", MetricBuckets.RequestSeconds);
        _grpcDuration = Histogram(InstrumentNames.GrpcDuration, "s", "Time of gRPC calls, whatever they were.", MetricBuckets.RequestSeconds);
        _requests = Meter.CreateCounter<long>(InstrumentNames.Requests, "{request}", "Generations that have ended, by how.");
        _rejections = Meter.CreateCounter<long>(InstrumentNames.Rejections, "{request}", "Requests that were answered with an error before anything was generated.");
        _stalls = Meter.CreateCounter<long>(InstrumentNames.Stalls, "{stall}", "Times that the step loop made no progress for too long.");
        _tokens = Meter.CreateCounter<long>(InstrumentNames.Tokens, "{token}", "Tokens by kind; cached ones are a part of the prompt's.");
        _textEquivalentTokens = Meter.CreateCounter<double>(InstrumentNames.TextEquivalentTokens, "{token}", "Text tokens that the generated latents stand for.");
        _latentSpans = Meter.CreateCounter<long>(InstrumentNames.LatentSpans, "{span}", "Latent spans that were generated.");
        _budgetHits = Meter.CreateCounter<long>(InstrumentNames.BudgetHits, "{request}", "Responses that used a budget up.");
        _savedTokens = Meter.CreateUpDownCounter<double>(InstrumentNames.SavedTokens, "{token}", "Tokens saved against plain chain of thought.");
        _savedKvBytes = Meter.CreateUpDownCounter<double>(InstrumentNames.SavedKvBytes, "By", "KV cache bytes saved against plain chain of thought.");
        _savedSeconds = Meter.CreateUpDownCounter<double>(InstrumentNames.SavedSeconds, "s", "Seconds saved against plain chain of thought.");
    }

    /// <summary>Name of the served model.</summary>
    public string Model => _model;

    /// <summary>The meter, for whoever listens to one host alone.</summary>
    public Meter Meter { get; }

    /// <inheritdoc/>
    public void Dispose() => Meter.Dispose();

    /// <summary>A generation has ended.</summary>
    /// <param name="request">What was asked for.</param>
    /// <param name="finished">How it ended.</param>
    /// <param name="operation">Which operation of GenAI's conventions it was.</param>
    /// <param name="protocol">rest or grpc.</param>
    public void RecordFinished(GenerationRequest request, FinishedEvent finished, string operation, string protocol)
    {
        var outcome = MetricNames.Of(finished.Reason);
        _requests.Add(1, new(MetricTags.Outcome, outcome), new(MetricTags.Operation, operation), new(MetricTags.Protocol, protocol));
        RecordTimes(finished, operation, outcome);
        RecordTokens(finished.Usage, operation);
        RecordLatents(request, finished);
    }

    /// <summary>The step loop makes no progress.</summary>
    public void RecordStall() => _stalls.Add(1);

    /// <summary>A request was answered with an error before anything was generated.</summary>
    public void RecordRejection(string reason, string protocol) => _rejections.Add(1, new(MetricTags.Reason, reason), new(MetricTags.Protocol, protocol));

    /// <summary>A REST request has ended.</summary>
    /// <param name="method">HTTP method, any.</param>
    /// <param name="route">Pattern of its route; null when there is none.</param>
    /// <param name="status">HTTP status.</param>
    /// <param name="time">Its duration.</param>
    public void RecordHttp(string method, string? route, int status, TimeSpan time) => _httpDuration.Record(
        time.TotalSeconds, new(MetricTags.HttpMethod, MetricNames.OfMethod(method)), new(MetricTags.HttpRoute, route ?? "none"), new(MetricTags.HttpStatus, status));

    /// <summary>A gRPC call has ended.</summary>
    /// <param name="method">Path of a method that exists; null when it does not.</param>
    /// <param name="status">Its status.</param>
    /// <param name="time">Its duration.</param>
    public void RecordGrpc(string? method, GrpcStatusCode status, TimeSpan time) =>
        _grpcDuration.Record(time.TotalSeconds, new(MetricTags.RpcMethod, method ?? "none"), new(MetricTags.RpcStatus, MetricNames.Of(status)));

    private void RecordTimes(FinishedEvent finished, string operation, string outcome)
    {
        var (timings, tokenCount) = (finished.Timings, finished.Usage.CompletionTokens);
        var tags = Tags(operation);
        var ended = tags;
        if (finished.Reason is not (FinishReason.Stop or FinishReason.Length))
        {
            ended.Add(MetricTags.ErrorType, outcome);
        }

        _duration.Record(timings.Total.TotalSeconds, ended);
        _queueTime.Record(timings.Queue.TotalSeconds);
        if (tokenCount > 0)
        {
            _timeToFirstToken.Record(timings.TimeToFirstToken.TotalSeconds, tags);
            _prefillTime.Record(timings.Prefill.TotalSeconds);
            _decodeTime.Record((timings.Total - timings.TimeToFirstToken).TotalSeconds);
        }

        if (tokenCount > 1)
        {
            _timePerOutputToken.Record(timings.InterTokenTime.TotalSeconds, tags);
        }
    }

    private void RecordTokens(Usage usage, string operation)
    {
        Count("prompt", usage.PromptTokens);
        Count("cached", usage.CachedTokens);
        Count("latent", usage.LatentTokens);
        Count("control", usage.ControlTokens);
        Count("reasoning_text", usage.ReasoningTextTokens);
        Count("answer", usage.AnswerTokens);
        var (input, output) = (Tags(operation), Tags(operation));
        input.Add(MetricTags.TokenType, "input");
        output.Add(MetricTags.TokenType, "output");
        _requestTokens.Record(usage.PromptTokens, input);
        _requestTokens.Record(usage.CompletionTokens, output);

        void Count(string kind, int count) => _tokens.Add(count, new KeyValuePair<string, object?>(MetricTags.Kind, kind));
    }

    private void RecordLatents(GenerationRequest request, FinishedEvent finished)
    {
        var (usage, savings) = (finished.Usage, finished.Savings);
        var basis = new KeyValuePair<string, object?>(MetricTags.Basis, savings.Basis == SavingsBasis.MeasuredPair ? "measured_pair" : "estimated");
        _latentSpans.Add(finished.LatentSpanCount);
        _textEquivalentTokens.Add(savings.TextEquivalentTokens);
        _savedTokens.Add(savings.TokensSaved, basis);
        _savedKvBytes.Add(savings.KvBytesSaved, basis);
        _savedSeconds.Add(savings.SecondsSaved, basis);
        Hit("latent", request.Reasoning.LatentBudget is > 0 and var latentBudget && usage.LatentTokens >= latentBudget);
        // </think> itself comes on top of the budget that forced it.
        Hit("thinking", request.Reasoning.ThinkingBudget is { } thinkingBudget && usage.ReasoningTokens > thinkingBudget);
        Hit("max_tokens", finished.Reason == FinishReason.Length);

        void Hit(string budget, bool isHit) => _budgetHits.Add(isHit ? 1 : 0, new KeyValuePair<string, object?>(MetricTags.Budget, budget));
    }

    private TagList Tags(string operation) => new() { { MetricTags.Operation, operation }, { MetricTags.Provider, Provider }, { MetricTags.Model, _model } };

    private Histogram<double> Histogram(string name, string unit, string description, IReadOnlyList<double> buckets) =>
        Meter.CreateHistogram(name, unit, description, tags: null, advice: new InstrumentAdvice<double> { HistogramBucketBoundaries = buckets });
}
