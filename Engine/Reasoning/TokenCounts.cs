using Tessera.Engine.Requests;

namespace Tessera.Engine.Reasoning;

/// <summary>Generated tokens of one sequence by kind; every generated token is counted exactly once.</summary>
internal sealed class TokenCounts
{
    /// <summary>Latents.</summary>
    public int Latent { get; private set; }

    /// <summary><c>&lt;boLatent&gt;</c> and <c>&lt;eoLatent&gt;</c>.</summary>
    public int LatentDelimiter { get; private set; }

    /// <summary>Text tokens of the reasoning.</summary>
    public int ReasoningText { get; private set; }

    /// <summary>Tokens of the answer, <c>&lt;eos&gt;</c> included.</summary>
    public int Answer { get; private set; }

    /// <summary><c>&lt;/think&gt;</c>: 0 or 1.</summary>
    public int EndThink { get; private set; }

    /// <summary>All generated tokens.</summary>
    public int Total => Latent + LatentDelimiter + ReasoningText + Answer + EndThink;

    /// <summary>Counts a latent.</summary>
    public void CountLatent() => Latent++;

    /// <summary>Counts a delimiter of a latent span.</summary>
    public void CountLatentDelimiter() => LatentDelimiter++;

    /// <summary>Counts a text token of the reasoning.</summary>
    public void CountReasoningText() => ReasoningText++;

    /// <summary>Counts a token of the answer.</summary>
    public void CountAnswer() => Answer++;

    /// <summary>Counts <c>&lt;/think&gt;</c>.</summary>
    public void CountEndThink() => EndThink++;

    /// <summary>The counts as a client sees them.</summary>
    /// <param name="promptPositions">Tokens of the prompt, <c>&lt;think&gt;</c> included.</param>
    public Usage ToUsage(int promptPositions) => new(promptPositions, 0, Latent, LatentDelimiter + EndThink, ReasoningText, Answer);
}
