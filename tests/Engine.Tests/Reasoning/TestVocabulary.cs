using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Engine.Tests.Reasoning;

/// <summary>A vocabulary small enough to be written out: pad 0, eos 1, text 2..9, think 10, /think 11, boLatent 12, eoLatent 13, latents 14..17, nothing 18..19.</summary>
internal static class TestVocabulary
{
    public const int Size = 20;
    public const int Eos = 1;
    public const int Text = 5;
    public const int EndThink = 11;
    public const int Bo = 12;
    public const int Eo = 13;
    public const int Latent = 15;

    public static ExtendedVocabulary Vocabulary { get; } = new(Size, 0, Eos, 10, EndThink, Bo, Eo, 14, 4);

    public static GrammarMasks Masks { get; } = new(Vocabulary);

    public static TraceGrammar Grammar(ReasoningMode mode, int? latentBudget = null, int? thinkingBudget = null, AnswerEnd? end = null) =>
        new(Masks, new ReasoningOptions(mode, latentBudget, thinkingBudget, Explain: true), end);

    public static int[] Allowed(TokenMask mask) => [.. Enumerable.Range(0, Size).Where(mask.Allows)];
}
