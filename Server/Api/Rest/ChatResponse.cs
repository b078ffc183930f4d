using System.Text;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>One response: gathers events into a completion, or turns each into a chunk.</summary>
/// <param name="request">The valid request.</param>
/// <param name="model">Name of the served model.</param>
/// <param name="created">When it was accepted, in seconds since 1970.</param>
internal sealed class ChatResponse(GenerationRequest request, string model, long created)
{
    private readonly string _id = $"chatcmpl-{request.RequestId}";
    private readonly StringBuilder _content = new();
    private readonly StringBuilder _reasoning = new();
    private readonly List<LatentSpan> _spans = [];
    private FinishedEvent? _finished;

    /// <summary>How it ended; known when all events were added.</summary>
    public FinishedEvent Finished => _finished ?? throw new InvalidOperationException("The events of a request ended without a final one.");

    /// <summary>Gathers an event.</summary>
    public void Add(GenerationEvent happened)
    {
        switch (happened)
        {
            case LatentEvent latent:
                SpanAt(latent.Span).Add(latent);
                break;
            case LatentHintEvent hint:
                SpanAt(hint.Span).Add(hint);
                break;
            case ReasoningTextEvent reasoning:
                _reasoning.Append(reasoning.Text);
                break;
            case AnswerTextEvent answer:
                _content.Append(answer.Text);
                break;
            case FinishedEvent finished:
                _finished = finished;
                break;
            default:
                break;
        }
    }

    /// <summary>The whole answer, once all events were added.</summary>
    public ChatCompletion ToCompletion()
    {
        var reasoning = _reasoning.Length == 0 ? null : _reasoning.ToString();
        var latent = _spans.Count == 0 ? null : new LatentReasoningBody([.. _spans.Select(span => span.ToBody())]);
        var message = new ChatMessageBody("assistant", _content.ToString(), reasoning, reasoning, latent);
        return new(
            _id, "chat.completion", created, model, [new ChatChoice(0, message, NameOf(Finished.Reason))], UsageBody.Of(Finished),
            EffectiveReasoning.Of(request), EffectiveSampling.Of(request), TimingsBody.Of(Finished.Timings));
    }

    /// <summary>The chunk that opens a stream.</summary>
    public ChatChunk Opening() => Chunk(new ChunkDelta { Role = "assistant", Content = "" }) with
    {
        Reasoning = EffectiveReasoning.Of(request),
        Sampling = EffectiveSampling.Of(request),
    };

    /// <summary>The chunk of an event; null when the event has nothing to show.</summary>
    public ChatChunk? ToChunk(GenerationEvent happened) => happened switch
    {
        LatentEvent latent => Chunk(new ChunkDelta { LatentReasoning = new(latent.Span, latent.Index, [latent.Code]) }),
        LatentHintEvent hint => Chunk(new ChunkDelta { LatentReasoning = new(hint.Span, hint.Index, [hint.Code], hint.Hint, hint.Confidence) }),
        ReasoningTextEvent { Text.Length: > 0 } reasoning => Chunk(new ChunkDelta { Reasoning = reasoning.Text, ReasoningContent = reasoning.Text }),
        AnswerTextEvent { Text.Length: > 0 } answer => Chunk(new ChunkDelta { Content = answer.Text }),
        FinishedEvent finished => Closing(finished),
        _ => null,
    };

    /// <summary>The chunk after the last one, with the usage and no choice.</summary>
    public ChatChunk UsageChunk(FinishedEvent finished) => new(_id, "chat.completion.chunk", created, model, []) { Usage = UsageBody.Of(finished) };

    private ChatChunk Closing(FinishedEvent finished) =>
        new(_id, "chat.completion.chunk", created, model, [new ChunkChoice(0, new ChunkDelta()) { FinishReason = NameOf(finished.Reason) }])
        {
            Timings = TimingsBody.Of(finished.Timings),
        };

    private ChatChunk Chunk(ChunkDelta delta) => new(_id, "chat.completion.chunk", created, model, [new ChunkChoice(0, delta)]);

    private LatentSpan SpanAt(int index)
    {
        while (_spans.Count <= index)
        {
            _spans.Add(new LatentSpan());
        }
        return _spans[index];
    }

    private static string NameOf(FinishReason reason) => reason switch
    {
        FinishReason.Stop => "stop",
        FinishReason.Length => "length",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "Only an end that is no error has a finish reason."),
    };

    /// <summary>A run of latents as it comes in; hints come later than their latents.</summary>
    private sealed class LatentSpan
    {
        private readonly List<int> _codes = [];
        private readonly SortedDictionary<int, LatentHintEvent> _hints = [];

        public void Add(LatentEvent latent) => _codes.Add(latent.Code);

        public void Add(LatentHintEvent hint) => _hints[hint.Index] = hint;

        public LatentSpanBody ToBody()
        {
            if (_hints.Count == 0)
            {
                return new(_codes, null, null, null);
            }
            var hints = _codes.Select((_, index) => _hints.TryGetValue(index, out var hint) ? hint.Hint : null).ToArray();
            return new(_codes, string.Join(' ', _hints.Values.Select(hint => hint.Hint)), hints, _hints.Values.Average(hint => hint.Confidence));
        }
    }
}
