using System.Text;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Server.Api.Gathering;

/// <summary>One of the responses to a request, as far as it has come.</summary>
internal sealed class GatheredChoice(int index, ExtendedVocabulary vocabulary)
{
    private readonly StringBuilder _reasoning = new();
    private readonly StringBuilder _answer = new();
    private readonly List<GatheredSpan> _spans = [];
    private readonly List<TokenLogprob> _reasoningLogprobs = [];
    private readonly List<TokenLogprob> _answerLogprobs = [];
    private readonly List<int> _reasoningIds = [];
    private readonly List<int> _answerIds = [];

    /// <summary>Which choice, from 0.</summary>
    public int Index => index;

    /// <summary>All generated ids.</summary>
    public TokenLog Tokens { get; } = new(vocabulary);

    /// <summary>Ids that became known with the last event.</summary>
    public IReadOnlyList<int> LastIds { get; private set; } = [];

    /// <summary>Runs of latents in order.</summary>
    public IReadOnlyList<GatheredSpan> Spans => _spans;

    /// <summary>Reasoning that was spelled out; null when there is none.</summary>
    public string? Reasoning => _reasoning.Length == 0 ? null : _reasoning.ToString();

    /// <summary>The answer.</summary>
    public string Answer => _answer.ToString();

    /// <summary>Ids behind the reasoning text.</summary>
    public IReadOnlyList<int> ReasoningIds => _reasoningIds;

    /// <summary>Ids behind the answer.</summary>
    public IReadOnlyList<int> AnswerIds => _answerIds;

    /// <summary>One entry per id of the reasoning text, when asked for.</summary>
    public IReadOnlyList<TokenLogprob> ReasoningLogprobs => _reasoningLogprobs;

    /// <summary>One entry per id of the answer, when asked for.</summary>
    public IReadOnlyList<TokenLogprob> AnswerLogprobs => _answerLogprobs;

    /// <summary>How it ended; null before.</summary>
    public ChoiceFinishedEvent? End { get; private set; }

    /// <summary>Takes an event of this choice in.</summary>
    public void Add(GenerationEvent happened)
    {
        LastIds = Tokens.Add(happened);
        switch (happened)
        {
            case LatentEvent latent:
                SpanAt(latent.Span).Add(latent);
                break;
            case LatentHintEvent hint:
                SpanAt(hint.Span).Add(hint);
                break;
            case ReasoningTextEvent text:
                _reasoning.Append(text.Text);
                _reasoningIds.AddRange(text.TokenIds);
                _reasoningLogprobs.AddRange(text.Logprobs ?? []);
                break;
            case AnswerTextEvent text:
                _answer.Append(text.Text);
                _answerIds.AddRange(text.TokenIds);
                _answerLogprobs.AddRange(text.Logprobs ?? []);
                break;
            default:
                break;
        }
    }

    /// <summary>Takes the end in.</summary>
    /// <param name="end">How it ended.</param>
    /// <param name="endIsEos">Whether nothing but <c>&lt;eos&gt;</c> can have ended the answer without an event.</param>
    public void Finish(ChoiceFinishedEvent end, bool endIsEos)
    {
        End = end;
        LastIds = Tokens.Finish(end.Usage, endIsEos);
    }

    private GatheredSpan SpanAt(int span)
    {
        while (_spans.Count <= span)
        {
            _spans.Add(new GatheredSpan());
        }
        return _spans[span];
    }
}
