using System.Text;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;

namespace Tessera.LoadTests.Targets;

/// <summary>Streams <c>tessera.v1.Inference/Generate</c>; who the server is and its memory come from its REST port.</summary>
public sealed class GrpcTarget : IGenerationTarget
{
    private const string Generate = "/tessera.v1.Inference/Generate";

    private readonly RestConnection _connection;
    private readonly ServerProbe _probe;
    private readonly GrpcClient _client;
    private readonly GrpcCallOptions _options;
    private readonly TimeSpan _requestTimeout;
    private readonly TimeProvider _clock;

    /// <summary>Creates a target; connects on first use.</summary>
    /// <param name="options">Addresses and limits; the gRPC address must be set.</param>
    /// <param name="clock">Clock of all latencies.</param>
    public GrpcTarget(TargetOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(options);
        _connection = new RestConnection(options, clock);
        _probe = new ServerProbe(_connection);
        _client = new GrpcClient(options.Grpc ?? throw new ArgumentException("no gRPC address", nameof(options)));
        _options = new GrpcCallOptions
        {
            Deadline = options.Timeout,
            Metadata = options.ApiKey is { } key ? [new("authorization", $"Bearer {key}")] : [],
        };
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
        var message = Create(request);
        var sent = _clock.GetTimestamp();
        var start = request.IntendedTimestamp ?? sent;
        var outcome = await ExchangeAsync(message, start, cancellationToken).ConfigureAwait(false);
        return outcome with { IntendedTimestamp = start, SendDelay = _clock.GetElapsedTime(start, sent) };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _client.Dispose();
        _connection.Dispose();
    }

    private static GenerateRequest Create(TargetRequest request)
    {
        var reasoning = new Reasoning
        {
            Mode = request.Mode switch
            {
                ReasoningMode.Text => Protos.V1.ReasoningMode.Text,
                ReasoningMode.Latent => Protos.V1.ReasoningMode.Latent,
                ReasoningMode.None => Protos.V1.ReasoningMode.None,
                _ => Protos.V1.ReasoningMode.Auto,
            },
            Explain = false,
        };
        if (request.SentLatentBudget is { } budget)
        {
            reasoning.LatentBudget = (uint)budget;
        }

        // The same message as over REST: one user turn in the package's chat format.
        var message = new GenerateRequest
        {
            Model = request.Model,
            Chat = new ChatMessages { Messages = { new ChatMessage { Role = "user", Content = request.Prompt } } },
            MaxTokens = (uint)(request.MaxTokens ?? 0),
            Reasoning = reasoning,
            Sampling = new Sampling { Temperature = 0 },
        };
        if (request.CacheSalt is { } salt)
        {
            message.CacheSalt = salt;
        }

        return message;
    }

    private async Task<RequestOutcome> ExchangeAsync(GenerateRequest request, long start, CancellationToken interruption)
    {
        var tokens = new TokenTimes();
        var answer = new StringBuilder();
        RequestOutcome Fail(OutcomeKind kind, string error) =>
            RequestOutcome.From(tokens, answer.ToString(), _clock.GetElapsedTime(start)) with { Kind = kind, Error = error };
        try
        {
            Finished? finished = null;
            var events = _client.StreamAsync(Generate, request, GenerateEvent.Parser, _options, interruption);
            await foreach (var item in events.ConfigureAwait(false))
            {
                Take(item, tokens, answer, _clock.GetElapsedTime(start));
                finished = item.Finished ?? finished;
            }

            return finished is null
                ? Fail(OutcomeKind.Failed, "the call ended without a Finished event")
                : Finish(finished, RequestOutcome.From(tokens, answer.ToString(), _clock.GetElapsedTime(start)), tokens);
        }
        catch (OperationCanceledException) when (interruption.IsCancellationRequested)
        {
            return Fail(OutcomeKind.Interrupted, "interrupted");
        }
        catch (GrpcStatusException e)
        {
            var error = e.Code == GrpcStatusCode.DeadlineExceeded ? $"no end after {_requestTimeout.TotalSeconds:0.###} s" : ErrorBody.OneLine($"gRPC {e.Message}");
            return Fail(KindOf(e), error);
        }
    }

    // An UNAVAILABLE that the server sent is a refusal; one that the client made of a broken connection is a failure.
    private static OutcomeKind KindOf(GrpcStatusException e) => e.Code switch
    {
        GrpcStatusCode.DeadlineExceeded => OutcomeKind.TimedOut,
        GrpcStatusCode.ResourceExhausted => OutcomeKind.Refused,
        GrpcStatusCode.Unavailable when e.InnerException is null => OutcomeKind.Refused,
        _ => OutcomeKind.Failed,
    };

    // A latent delta with a hint repeats a latent that came before.
    private static void Take(GenerateEvent item, TokenTimes tokens, StringBuilder answer, TimeSpan elapsed)
    {
        switch (item.EventCase)
        {
            case GenerateEvent.EventOneofCase.Latent when !item.Latent.HasHint:
                tokens.TakeLatents(item.Latent.Codes.Count, elapsed);
                break;
            case GenerateEvent.EventOneofCase.Reasoning:
                tokens.TakeReasoningText(Math.Max(1, item.Reasoning.TokenIds.Count), elapsed);
                break;
            case GenerateEvent.EventOneofCase.Answer when item.Answer.Text.Length > 0:
                answer.Append(item.Answer.Text);
                tokens.TakeAnswer(Math.Max(1, item.Answer.TokenIds.Count), elapsed);
                break;
        }
    }

    private static RequestOutcome Finish(Finished finished, RequestOutcome outcome, TokenTimes tokens)
    {
        if (finished.Reason is not ("stop" or "length"))
        {
            return outcome with { Error = ErrorBody.OneLine($"the server ended the response: {finished.Reason}") };
        }

        var usage = finished.Usage;
        var reading = usage is null ? null : new UsageReading(
            Whole(usage.PromptTokens), Whole(usage.CompletionTokens), Whole((ulong)usage.PromptTokens + usage.CompletionTokens), Whole(usage.CachedTokens),
            Whole((ulong)usage.LatentTokens + usage.ControlTokens + usage.ReasoningTextTokens), Whole(usage.LatentTokens), Whole(usage.ReasoningTextTokens),
            Whole(usage.ControlTokens));
        var (counted, problem) = UsageCheck.Check(reading, tokens, expectsLatentUsage: true);
        if (counted is not null && counted.Answer != usage!.AnswerTokens)
        {
            var rest = $"completion_tokens {usage.CompletionTokens} without latent, control and reasoning text leaves {counted.Answer}";
            (counted, problem) = (null, $"usage: {rest}, but answer_tokens is {usage.AnswerTokens}");
        }

        return outcome with { Kind = OutcomeKind.Succeeded, EndedByLength = finished.Reason == "length", Usage = counted, UsageProblem = problem };
    }

    private static int Whole(ulong count) => count <= int.MaxValue ? (int)count : -1;
}
