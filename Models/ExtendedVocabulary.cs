namespace Tessera.Models;

/// <summary>What an id of the extended vocabulary is.</summary>
public enum TokenKind
{
    /// <summary>A text token.</summary>
    Text,

    /// <summary>A latent.</summary>
    Latent,

    /// <summary>One of <c>&lt;think&gt; &lt;/think&gt; &lt;boLatent&gt; &lt;eoLatent&gt;</c>.</summary>
    Control,

    /// <summary>End of the sequence or padding.</summary>
    EndOrPad,
}

/// <summary>
/// Ids of the extended vocabulary: text first, then <c>&lt;think&gt; &lt;/think&gt; &lt;boLatent&gt; &lt;eoLatent&gt;</c>, then K latents, contiguous.
/// </summary>
/// <param name="Size">Width of the logits.</param>
/// <param name="PadId">Padding.</param>
/// <param name="EosId">End of the sequence.</param>
/// <param name="ThinkId">Start of reasoning.</param>
/// <param name="EndThinkId">End of reasoning.</param>
/// <param name="BoLatentId">Start of a latent span.</param>
/// <param name="EoLatentId">End of a latent span.</param>
/// <param name="FirstLatentId">Id of code 0.</param>
/// <param name="LatentCount">Number of codes (K).</param>
public sealed record ExtendedVocabulary(
    int Size, int PadId, int EosId, int ThinkId, int EndThinkId, int BoLatentId, int EoLatentId, int FirstLatentId, int LatentCount)
{
    /// <summary>Whether <paramref name="id"/> is a latent.</summary>
    public bool IsLatent(int id) => id >= FirstLatentId && id < FirstLatentId + LatentCount;

    /// <summary>Code of a latent id.</summary>
    public int CodeOf(int id) => id - FirstLatentId;

    /// <summary>Id of a code.</summary>
    public int IdOf(int code) => FirstLatentId + code;

    /// <summary>What <paramref name="id"/> is.</summary>
    public TokenKind KindOf(int id) =>
        IsLatent(id) ? TokenKind.Latent
        : id == ThinkId || id == EndThinkId || id == BoLatentId || id == EoLatentId ? TokenKind.Control
        : id == EosId || id == PadId ? TokenKind.EndOrPad
        : TokenKind.Text;
}
