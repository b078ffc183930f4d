using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Server.Api.Gathering;

/// <summary>
/// The generated ids of one choice in order. Events carry latents and text; the delimiters between them follow from the grammar, so that the ids add up to
/// the usage.
/// </summary>
internal sealed class TokenLog(ExtendedVocabulary vocabulary)
{
    private readonly List<int> _ids = [];
    private bool _isSpanOpen;
    private bool _hasEndedThinking;
    private int _latent;
    private int _control;
    private int _reasoningText;
    private int _answer;

    /// <summary>All ids so far.</summary>
    public IReadOnlyList<int> Ids => _ids;

    /// <summary>Tokens so far, for a prompt of a known length; the usage of the end is the engine's.</summary>
    public Usage UsageSoFar(AcceptedEvent? accepted) => new(accepted?.PromptTokens ?? 0, 0, _latent, _control, _reasoningText, _answer);

    /// <summary>Takes an event in.</summary>
    /// <returns>Ids that became known with it.</returns>
    public IReadOnlyList<int> Add(GenerationEvent happened)
    {
        var before = _ids.Count;
        switch (happened)
        {
            case LatentEvent latent:
                AddLatent(latent.Code);
                break;
            case ReasoningTextEvent { TokenIds.Count: > 0 } text:
                CloseSpan();
                _reasoningText += text.TokenIds.Count;
                _ids.AddRange(text.TokenIds);
                break;
            case AnswerTextEvent { TokenIds.Count: > 0 } text:
                EndThinking();
                _answer += text.TokenIds.Count;
                _ids.AddRange(text.TokenIds);
                break;
            default:
                break;
        }
        return _ids[before..];
    }

    /// <summary>Takes the end in: what the usage counts more was generated without an event.</summary>
    /// <param name="usage">Usage of the choice.</param>
    /// <param name="endIsEos">Whether nothing but <c>&lt;eos&gt;</c> can have ended an answer without an event.</param>
    /// <returns>Ids that became known with it.</returns>
    public IReadOnlyList<int> Finish(Usage usage, bool endIsEos)
    {
        var before = _ids.Count;
        if (usage.ControlTokens > _control)
        {
            CloseSpan();
        }
        if (usage.AnswerTokens > 0 || (usage.ControlTokens > _control && _ids.Count > 0))
        {
            EndThinking();
        }
        if (usage.AnswerTokens > _answer && endIsEos)
        {
            _ids.Add(vocabulary.EosId);
        }
        return _ids[before..];
    }

    private void AddLatent(int code)
    {
        if (!_isSpanOpen)
        {
            _isSpanOpen = true;
            AddControl(vocabulary.BoLatentId);
        }
        _latent++;
        _ids.Add(vocabulary.IdOf(code));
    }

    private void CloseSpan()
    {
        if (_isSpanOpen)
        {
            _isSpanOpen = false;
            AddControl(vocabulary.EoLatentId);
        }
    }

    private void EndThinking()
    {
        CloseSpan();
        if (!_hasEndedThinking)
        {
            _hasEndedThinking = true;
            AddControl(vocabulary.EndThinkId);
        }
    }

    private void AddControl(int id)
    {
        _control++;
        _ids.Add(id);
    }
}
