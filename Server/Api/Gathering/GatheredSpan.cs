using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Gathering;

/// <summary>A run of latents as it comes in; hints come later than their latents.</summary>
internal sealed class GatheredSpan
{
    private readonly List<int> _codes = [];
    private readonly List<TokenLogprob> _logprobs = [];
    private readonly SortedDictionary<int, LatentHintEvent> _hints = [];

    /// <summary>Codes of the codebook in order.</summary>
    public IReadOnlyList<int> Codes => _codes;

    /// <summary>One entry per code, when asked for.</summary>
    public IReadOnlyList<TokenLogprob> Logprobs => _logprobs;

    /// <summary>Codes that have a hint.</summary>
    public int HintCount => _hints.Count;

    /// <summary>The hints joined; null when there are none.</summary>
    public string? Hint => _hints.Count == 0 ? null : string.Join(' ', _hints.Values.Select(hint => hint.Hint));

    /// <summary>Mean confidence of the hints; null when there are none.</summary>
    public float? Confidence => _hints.Count == 0 ? null : _hints.Values.Average(hint => hint.Confidence);

    /// <summary>The hint of a code; null when it has none.</summary>
    public LatentHintEvent? HintAt(int index) => _hints.GetValueOrDefault(index);

    /// <summary>Adds a latent.</summary>
    public void Add(LatentEvent latent)
    {
        _codes.Add(latent.Code);
        _logprobs.AddRange(latent.Logprobs ?? []);
    }

    /// <summary>Adds the hint of a latent.</summary>
    public void Add(LatentHintEvent hint) => _hints[hint.Index] = hint;
}
