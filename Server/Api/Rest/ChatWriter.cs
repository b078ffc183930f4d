using Tessera.Engine.Requests;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>Says a response as chat completion or as its chunks.</summary>
internal sealed class ChatWriter(ResponseContext context) : ResponseWriter
{
    private readonly string _id = $"chatcmpl-{context.Request.RequestId}";
    private readonly LogprobsFormat? _logprobs = context.Request.Logprobs is null ? null : new(context.Package);

    private int _lastChoice;

    /// <inheritdoc/>
    public override Task WriteWholeAsync(HttpContext http, GatheredResponse response)
    {
        var body = new ChatCompletion(
            _id, "chat.completion", context.Created, context.Model, [.. response.Choices.Select(ToChoice)], UsageBody.Of(response.Finished),
            EffectiveReasoning.Of(context.Request), EffectiveSampling.Of(context.Request), TimingsBody.Of(response.Finished.Timings), context.Fingerprint)
        {
            PromptTokenIds = context.PromptIds,
        };
        return RestResponse.WriteAsync(http, body, RestJson.Wire.ChatCompletion);
    }

    /// <inheritdoc/>
    public override void Open(EventSink sink, GatheredResponse response)
    {
        foreach (var choice in response.Choices)
        {
            var chunk = Chunk(choice, new ChunkDelta { Role = "assistant", Content = "" }, response);
            Send(sink, choice.Index > 0 ? chunk : chunk with
            {
                Reasoning = EffectiveReasoning.Of(context.Request),
                Sampling = EffectiveSampling.Of(context.Request),
                PromptTokenIds = context.PromptIds,
            });
        }
    }

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
        if (happened is FinishedEvent or ChoiceFinishedEvent)
        {
            Send(sink, Closing(choice, response));
        }
        else if (ToDelta(happened, choice) is { } delta)
        {
            Send(sink, Chunk(choice, delta, response, _logprobs?.Of(happened)));
        }
    }

    /// <inheritdoc/>
    public override void Close(EventSink sink, GatheredResponse response)
    {
        if (context.Parsed.IncludeUsage)
        {
            Send(sink, new ChatChunk(_id, "chat.completion.chunk", context.Created, context.Model, [], context.Fingerprint) { Usage = UsageBody.Of(response.Finished) });
        }
        sink.SendDone();
    }

    private static void Send(EventSink sink, ChatChunk chunk) => sink.Send(chunk, RestJson.Wire.ChatChunk);

    private ChatChoice ToChoice(GatheredChoice choice)
    {
        var message = new ChatMessageBody("assistant", choice.Answer, choice.Reasoning, choice.Reasoning, LatentReasoningBody.Of(choice));
        return new(choice.Index, message, NameOf(choice.End!.Reason))
        {
            Logprobs = _logprobs?.Of(choice),
            TokenIds = context.Parsed.ReturnTokenIds ? choice.Tokens.Ids : null,
        };
    }

    // An event without text still counts for clients that read ids or log probabilities.
    private ChunkDelta? ToDelta(GenerationEvent happened, GatheredChoice choice)
    {
        var hasMore = (context.Parsed.ReturnTokenIds && choice.LastIds.Count > 0) || (_logprobs is not null && LogprobsFormat.HasAny(happened));
        return happened switch
        {
            LatentEvent latent => new() { LatentReasoning = new(latent.Span, latent.Index, [latent.Code]) },
            LatentHintEvent hint => new() { LatentReasoning = new(hint.Span, hint.Index, [hint.Code], hint.Hint, hint.Confidence) },
            ReasoningTextEvent text when text.Text.Length > 0 || hasMore => new() { Reasoning = text.Text, ReasoningContent = text.Text },
            AnswerTextEvent text when text.Text.Length > 0 || hasMore => new() { Content = text.Text },
            _ => null,
        };
    }

    private ChatChunk Closing(GatheredChoice choice, GatheredResponse response)
    {
        var chunk = Chunk(choice, new ChunkDelta(), response, finish: NameOf(choice.End!.Reason));
        return response.IsFinished ? chunk with { Timings = TimingsBody.Of(response.Finished.Timings) } : chunk;
    }

    private ChatChunk Chunk(GatheredChoice choice, ChunkDelta delta, GatheredResponse response, ChatLogprobs? logprobs = null, string? finish = null)
    {
        var body = new ChunkChoice(choice.Index, delta)
        {
            Logprobs = logprobs,
            TokenIds = context.Parsed.ReturnTokenIds && choice.LastIds.Count > 0 ? choice.LastIds : null,
            FinishReason = finish,
        };
        return new(_id, "chat.completion.chunk", context.Created, context.Model, [body], context.Fingerprint)
        {
            Usage = context.Parsed.ContinuousUsage ? UsageBody.Of(response) : null,
        };
    }
}
