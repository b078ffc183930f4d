using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Engine.Reasoning;

/// <summary>Where the events of a recorder go, in order.</summary>
internal interface ITraceListener
{
    /// <summary>A delta for the client.</summary>
    void OnDelta(GenerationEvent delta);

    /// <summary>A latent span is complete and may be decoded.</summary>
    void OnLatentSpan(LatentSpan span);
}

/// <summary>Records the generated ids of one sequence: spans, counts, and the deltas that its client sees.</summary>
internal sealed class TraceRecorder(
    ExtendedVocabulary vocabulary, Tokenizer tokenizer, bool stripLeadingSpace, IReadOnlyList<string> stops, int minTokens, ITraceListener listener)
{
    private readonly StopMatcher _stopMatcher = new(stops);
    private readonly VisibleText _reasoning = new(tokenizer.CreateDecoder(continues: true), stripLeadingSpace);
    private readonly VisibleText _answer = new(tokenizer.CreateDecoder(continues: true), stripLeadingSpace);

    /// <summary>The reasoning so far.</summary>
    public ReasoningTrace Trace { get; } = new();

    /// <summary>Tokens so far.</summary>
    public TokenCounts Counts { get; } = new();

    /// <summary>Whether a stop string ended the answer.</summary>
    public bool IsStopped => _stopMatcher.IsMatched;

    /// <summary>Records the next id.</summary>
    /// <param name="id">An id that the grammar allowed.</param>
    /// <param name="phase">Where the sequence was before the id.</param>
    /// <param name="isEnd">Whether the id ends the answer: then its text is not given out.</param>
    /// <param name="logprob">Its log probability; null when the request wants none.</param>
    public void Append(int id, TracePhase phase, bool isEnd, TokenLogprob? logprob)
    {
        TokenLogprob[]? logprobs = logprob is null ? null : [logprob];
        if (vocabulary.IsLatent(id))
        {
            AppendLatent(vocabulary.CodeOf(id), logprobs);
        }
        else if (vocabulary.KindOf(id) == TokenKind.Control)
        {
            AppendControl(id);
        }
        else if (phase == TracePhase.Answer)
        {
            AppendAnswer(id, isEnd, logprobs);
        }
        else
        {
            Counts.CountReasoningText();
            Trace.AddText(id);
            listener.OnDelta(new ReasoningTextEvent(_reasoning.Append(id), [id]) { Logprobs = logprobs });
        }
    }

    /// <summary>Gives out what was held back, at the end of a response that no stop string ended; an open latent span may be decoded too.</summary>
    public void Flush(TracePhase phase)
    {
        if (Trace.OpenSpan is { Codes.Count: > 0 } span)
        {
            listener.OnLatentSpan(span);
        }
        else if (phase == TracePhase.Text)
        {
            FlushReasoning();
        }
        else if (phase is TracePhase.Answer or TracePhase.Done && !IsStopped)
        {
            var text = _stopMatcher.Append(_answer.Flush()) + _stopMatcher.Flush();
            if (text.Length > 0)
            {
                listener.OnDelta(new AnswerTextEvent(text, []));
            }
        }
    }

    private void AppendLatent(int code, TokenLogprob[]? logprobs)
    {
        Counts.CountLatent();
        var span = Trace.AddCode(code);
        listener.OnDelta(new LatentEvent(span.Index, span.Codes.Count - 1, code) { Logprobs = logprobs });
    }

    private void AppendControl(int id)
    {
        if (id == vocabulary.EndThinkId)
        {
            Counts.CountEndThink();
            FlushReasoning();
            return;
        }

        Counts.CountLatentDelimiter();
        if (id == vocabulary.BoLatentId)
        {
            Trace.OpenLatentSpan();
        }
        else
        {
            listener.OnLatentSpan(Trace.CloseLatentSpan());
        }
    }

    private void AppendAnswer(int id, bool isEnd, TokenLogprob[]? logprobs)
    {
        Counts.CountAnswer();
        if (!isEnd)
        {
            // Nothing of a stop string is held back before the least number of tokens: none of them may end the answer.
            var text = _answer.Append(id);
            var certain = Counts.Total <= minTokens ? text : _stopMatcher.Append(text);
            listener.OnDelta(new AnswerTextEvent(certain, [id]) { Logprobs = logprobs });
        }
    }

    private void FlushReasoning()
    {
        var text = _reasoning.Flush();
        if (text.Length > 0)
        {
            listener.OnDelta(new ReasoningTextEvent(text, []));
        }
    }
}
