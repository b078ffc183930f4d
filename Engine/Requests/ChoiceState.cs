using Tessera.Engine.Reasoning;

namespace Tessera.Engine.Requests;

/// <summary>How far one response of a request is, as its stream sees it.</summary>
internal sealed class ChoiceState
{
    private int _hintedLatents;
    private int _hintTokens;

    /// <summary>How it ended; null while it goes on.</summary>
    public Ending? Ending { get; set; }

    /// <summary>Spans whose hints are on their way.</summary>
    public int PendingHints { get; set; }

    /// <summary>Whether nothing more comes.</summary>
    public bool IsComplete { get; set; }

    /// <summary>What its latents saved; null before the end.</summary>
    public Savings? Savings { get; private set; }

    /// <summary>Notes hints that were given out.</summary>
    public void AddHints(int latents, int tokens)
    {
        _hintedLatents += latents;
        _hintTokens += tokens;
    }

    /// <summary>Calculates the savings, of hints where every latent has one.</summary>
    public Savings Estimate(SavingsCalculator calculator, Ending ending)
    {
        int? hintTokens = _hintedLatents == ending.Usage.LatentTokens ? _hintTokens : null;
        return Savings = calculator.Estimate(ending.Usage, ending.LatentDelimiterCount, hintTokens, ending.Timings.InterTokenTime);
    }
}
