using Tessera.Engine.Requests;

namespace Tessera.Engine.Reasoning;

/// <summary>
/// Where a sequence is in <c>&lt;think&gt; [ &lt;boLatent&gt; z1 .. zk &lt;eoLatent&gt; ] reasoning text &lt;/think&gt; answer &lt;eos&gt;</c>.
/// </summary>
internal enum TracePhase
{
    /// <summary>Directly after <c>&lt;think&gt;</c>: the only place where a latent span may begin.</summary>
    Start,

    /// <summary>Inside a latent span.</summary>
    Latent,

    /// <summary>Reasoning spelled out, or directly after a latent span.</summary>
    Text,

    /// <summary>After <c>&lt;/think&gt;</c>.</summary>
    Answer,

    /// <summary>After <c>&lt;eos&gt;</c> or a stop id.</summary>
    Done,
}

/// <summary>
/// The grammar of one sequence: which ids may come next, given mode and budgets. A pure state machine: it makes malformed traces impossible.
/// </summary>
/// <remarks>
/// The thinking budget counts every reasoning token before <c>&lt;/think&gt;</c>, delimiters included, and is never exceeded: a latent span opens only
/// when it can also be closed within the budget.
/// </remarks>
internal sealed class TraceGrammar
{
    // <boLatent>, one latent, <eoLatent>.
    private const int ShortestLatentSpan = 3;

    private readonly GrammarMasks _masks;
    private readonly ReasoningMode _mode;
    private readonly int _latentBudget;
    private readonly AnswerEnd _end;
    private readonly TokenMask _answerBeforeEnd;
    private int _thinkingLeft;
    private int _count;
    private int _latentCount;

    /// <summary>Creates the grammar of a sequence whose prompt ended with <c>&lt;think&gt;</c>.</summary>
    public TraceGrammar(GrammarMasks masks, ReasoningOptions options, AnswerEnd? end = null)
    {
        _masks = masks;
        _end = end ?? AnswerEnd.Default;
        _answerBeforeEnd = _end.MinTokens > 0 && _end.StopTokenIds.Count > 0 ? masks.Text.Except(_end.StopTokenIds) : masks.Text;

        // The dial at 0 is plain chain of thought.
        _mode = options is { Mode: ReasoningMode.Latent, LatentBudget: 0 } ? ReasoningMode.Text : options.Mode;
        _latentBudget = options.LatentBudget ?? int.MaxValue;
        _thinkingLeft = options.ThinkingBudget ?? int.MaxValue;
    }

    /// <summary>Where the sequence is.</summary>
    public TracePhase Phase { get; private set; }

    /// <summary>The ids that may come next.</summary>
    /// <exception cref="InvalidOperationException">The sequence has ended.</exception>
    public TokenMask Allowed => Phase switch
    {
        TracePhase.Start => AllowedAtStart(),
        TracePhase.Latent => AllowedInSpan(),
        TracePhase.Text => _thinkingLeft > 0 ? _masks.TextOrEnd : _masks.OnlyEndThink,
        TracePhase.Answer => _count < _end.MinTokens ? _answerBeforeEnd : _masks.Answer,
        _ => throw new InvalidOperationException("nothing comes after the end"),
    };

    /// <summary>Takes the next id.</summary>
    /// <exception cref="InvalidOperationException">The grammar does not allow the id here.</exception>
    public void Advance(int id)
    {
        if (!Allowed.Allows(id))
        {
            throw new InvalidOperationException(
                $"id {id} is not allowed in phase {Phase} (mode {_mode}, {_latentCount} latents, {_thinkingLeft} of the thinking budget left)");
        }

        var next = PhaseAfter(id);
        if (next != TracePhase.Answer && next != TracePhase.Done)
        {
            _thinkingLeft -= _thinkingLeft == int.MaxValue ? 0 : 1;
        }

        _latentCount += Phase == TracePhase.Latent && next == TracePhase.Latent ? 1 : 0;
        Phase = next;
        _count++;
    }

    private TracePhase PhaseAfter(int id)
    {
        var vocabulary = _masks.Vocabulary;
        return id == vocabulary.BoLatentId ? TracePhase.Latent
            : id == vocabulary.EoLatentId ? TracePhase.Text
            : id == vocabulary.EndThinkId ? TracePhase.Answer
            : id == vocabulary.EosId || (Phase == TracePhase.Answer && _end.StopTokenIds.Contains(id)) ? TracePhase.Done
            : Phase == TracePhase.Start ? TracePhase.Text
            : Phase;
    }

    private TokenMask AllowedAtStart() => _mode switch
    {
        ReasoningMode.None => _masks.OnlyEndThink,
        _ when _thinkingLeft == 0 => _masks.OnlyEndThink,
        ReasoningMode.Latent => _masks.OnlyBoLatent,
        ReasoningMode.Text => _masks.Text,
        _ => _latentBudget > 0 && _thinkingLeft >= ShortestLatentSpan ? _masks.Start : _masks.TextOrEnd,
    };

    private TokenMask AllowedInSpan() =>
        _latentCount == 0 ? _masks.Latent
        : _latentCount >= _latentBudget || _thinkingLeft <= 1 ? _masks.OnlyEoLatent
        : _masks.LatentOrEnd;
}
