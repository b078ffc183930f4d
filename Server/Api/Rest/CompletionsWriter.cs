using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>Says a response as text completion or as its chunks.</summary>
internal sealed class CompletionsWriter(ResponseContext context) : ResponseWriter
{
    private readonly string _id = $"cmpl-{context.Request.RequestId}";
    private readonly LogprobsFormat? _logprobs = context.Request.Logprobs is null ? null : new(context.Package);
    private readonly int[] _offsets = new int[context.ChoiceCount];

    private int _lastChoice;

    /// <inheritdoc/>
    public override Task WriteWholeAsync(HttpContext http, GatheredResponse response)
    {
        var body = Opened([.. response.Choices.Select(ToChoice)]) with
        {
            Usage = UsageBody.Of(response.Finished),
            Timings = TimingsBody.Of(response.Finished.Timings),
        };
        return RestResponse.WriteAsync(http, body, RestJson.Wire.TextCompletion);
    }

    /// <inheritdoc/>
    public override void Open(EventSink sink, GatheredResponse response) =>
        Send(sink, Opened([.. response.Choices.Select(choice => new CompletionChoice(choice.Index, "") { PromptTokenIds = context.PromptIdsOf(choice.Index) })]));

    /// <inheritdoc/>
    public override void Write(EventSink sink, GenerationEvent happened, GatheredResponse response)
    {
        // The last choice ends with the response: only then are its timings known.
        if (happened is AcceptedEvent || (happened is ChoiceFinishedEvent && response.Choices.All(other => other.End is not null)))
        {
            _lastChoice = happened.Choice;
            return;
        }
        var choice = response.Choices[happened is FinishedEvent ? _lastChoice : happened.Choice];
        if (ToDelta(happened, choice) is { } delta)
        {
            delta = delta with { TokenIds = context.Parsed.ReturnTokenIds && choice.LastIds.Count > 0 ? choice.LastIds : null };
            Send(sink, Body([delta]) with
            {
                Usage = context.Parsed.ContinuousUsage ? UsageBody.Of(response) : null,
                Timings = response.IsFinished ? TimingsBody.Of(response.Finished.Timings) : null,
            });
        }
    }

    /// <inheritdoc/>
    public override void Close(EventSink sink, GatheredResponse response)
    {
        if (context.Parsed.IncludeUsage)
        {
            Send(sink, Body([]) with { Usage = UsageBody.Of(response.Finished) });
        }
        sink.SendDone();
    }

    private static void Send(EventSink sink, TextCompletion body) => sink.Send(body, RestJson.Wire.TextCompletion);

    private TextCompletion Body(IReadOnlyList<CompletionChoice> choices) =>
        new(_id, "text_completion", context.Created, context.Model, choices, context.Fingerprint);

    private TextCompletion Opened(IReadOnlyList<CompletionChoice> choices) => Body(choices) with
    {
        Reasoning = EffectiveReasoning.Of(context.Request),
        Sampling = EffectiveSampling.Of(context.Request),
        PromptTokenIds = context.PromptIds,
    };

    private CompletionChoice ToChoice(GatheredChoice choice)
    {
        var offset = 0;
        return new(choice.Index, choice.Answer)
        {
            FinishReason = NameOf(choice.End!.Reason),
            Logprobs = _logprobs?.ToArrays(choice.AnswerLogprobs, ref offset),
            Reasoning = choice.Reasoning,
            ReasoningContent = choice.Reasoning,
            LatentReasoning = LatentReasoningBody.Of(choice),
            TokenIds = context.Parsed.ReturnTokenIds ? choice.Tokens.Ids : null,
            PromptTokenIds = context.PromptIdsOf(choice.Index),
        };
    }

    private CompletionChoice? ToDelta(GenerationEvent happened, GatheredChoice choice)
    {
        var empty = new CompletionChoice(choice.Index, "");
        var hasMore = context.Parsed.ReturnTokenIds && choice.LastIds.Count > 0;
        return happened switch
        {
            LatentEvent latent => empty with { LatentDelta = new(latent.Span, latent.Index, [latent.Code]) },
            LatentHintEvent hint => empty with { LatentDelta = new(hint.Span, hint.Index, [hint.Code], hint.Hint, hint.Confidence) },
            ReasoningTextEvent text when text.Text.Length > 0 || hasMore => empty with { Reasoning = text.Text, ReasoningContent = text.Text },
            AnswerTextEvent text when text.Text.Length > 0 || hasMore || text.Logprobs is { Count: > 0 } => empty with
            {
                Text = text.Text,
                Logprobs = text.Logprobs is { Count: > 0 } logprobs ? _logprobs?.ToArrays(logprobs, ref _offsets[choice.Index]) : null,
            },
            FinishedEvent or ChoiceFinishedEvent => empty with { FinishReason = NameOf(choice.End!.Reason) },
            _ => null,
        };
    }
}
