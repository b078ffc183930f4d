using Tessera.Engine.Requests;

namespace Tessera.Engine.Sampling;

/// <summary>
/// What a sequence has said, for the penalties: text ids of the prompt, and how often the response has each. Latents, control tokens and the end are left
/// out: penalties are against repeating text, and must not push a trace out of its course.
/// </summary>
/// <param name="textIdCount">Ids below this are text.</param>
/// <param name="eosId">No text.</param>
internal sealed class TokenHistory(int textIdCount, int eosId)
{
    // Text id to its count in the response; 0 for ids that only the prompt has.
    private readonly Dictionary<int, int> _counts = [];

    /// <summary>Notes an id of the prompt.</summary>
    public void AddPrompt(int id)
    {
        if (IsText(id))
        {
            _counts.TryAdd(id, 0);
        }
    }

    /// <summary>Notes an id of the response.</summary>
    public void Add(int id)
    {
        if (IsText(id))
        {
            _counts[id] = _counts.GetValueOrDefault(id) + 1;
        }
    }

    /// <summary>Changes the logits of what was said: repetition first, then frequency and presence.</summary>
    public void Apply(SamplingOptions options, Span<float> logits)
    {
        foreach (var (id, count) in _counts)
        {
            var logit = logits[id];
            logit = logit > 0 ? logit / options.RepetitionPenalty : logit * options.RepetitionPenalty;
            logits[id] = count == 0 ? logit : logit - (count * options.FrequencyPenalty) - options.PresencePenalty;
        }
    }

    private bool IsText(int id) => id < textIdCount && id != eosId;
}
