using Tessera.Models;

namespace Tessera.Engine.Reasoning;

/// <summary>
/// The masks of one vocabulary, made once. Ids that no mask allows can never be sampled: the pad token, <c>&lt;think&gt;</c>, and logits columns past the
/// latents.
/// </summary>
internal sealed class GrammarMasks
{
    /// <summary>Makes the masks.</summary>
    public GrammarMasks(ExtendedVocabulary vocabulary)
    {
        Vocabulary = vocabulary;
        IdRange[] text = [.. TextRanges(vocabulary)];
        IdRange latents = new(vocabulary.FirstLatentId, vocabulary.FirstLatentId + vocabulary.LatentCount);
        Text = new TokenMask(text);
        TextOrEnd = new TokenMask([.. text, One(vocabulary.EndThinkId)]);
        Start = new TokenMask([.. text, One(vocabulary.EndThinkId), One(vocabulary.BoLatentId)]);
        Latent = new TokenMask(latents);
        LatentOrEnd = new TokenMask(latents, One(vocabulary.EoLatentId));
        Answer = new TokenMask([.. text, One(vocabulary.EosId)]);
        OnlyBoLatent = new TokenMask(One(vocabulary.BoLatentId));
        OnlyEoLatent = new TokenMask(One(vocabulary.EoLatentId));
        OnlyEndThink = new TokenMask(One(vocabulary.EndThinkId));
    }

    /// <summary>The vocabulary.</summary>
    public ExtendedVocabulary Vocabulary { get; }

    /// <summary>Text alone.</summary>
    public TokenMask Text { get; }

    /// <summary>Text or <c>&lt;/think&gt;</c>.</summary>
    public TokenMask TextOrEnd { get; }

    /// <summary>Text, <c>&lt;/think&gt;</c> or <c>&lt;boLatent&gt;</c>.</summary>
    public TokenMask Start { get; }

    /// <summary>Latents alone.</summary>
    public TokenMask Latent { get; }

    /// <summary>Latents or <c>&lt;eoLatent&gt;</c>.</summary>
    public TokenMask LatentOrEnd { get; }

    /// <summary>Text or the end of the sequence.</summary>
    public TokenMask Answer { get; }

    /// <summary><c>&lt;boLatent&gt;</c> is forced.</summary>
    public TokenMask OnlyBoLatent { get; }

    /// <summary><c>&lt;eoLatent&gt;</c> is forced.</summary>
    public TokenMask OnlyEoLatent { get; }

    /// <summary><c>&lt;/think&gt;</c> is forced.</summary>
    public TokenMask OnlyEndThink { get; }

    private static IdRange One(int id) => new(id, id + 1);

    // Text ids come before <think>; pad and eos are among them and are no text.
    private static IEnumerable<IdRange> TextRanges(ExtendedVocabulary vocabulary)
    {
        var low = Math.Min(vocabulary.PadId, vocabulary.EosId);
        var high = Math.Max(vocabulary.PadId, vocabulary.EosId);
        yield return new IdRange(0, Math.Min(low, vocabulary.ThinkId));
        yield return new IdRange(low + 1, Math.Min(high, vocabulary.ThinkId));
        yield return new IdRange(high + 1, vocabulary.ThinkId);
    }
}
