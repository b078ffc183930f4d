namespace Tessera.Models;

/// <summary>A tokenizer.json after all checks.</summary>
internal sealed record TokenizerParts
{
    /// <summary>Tokens of the model as the file spells them, without special tokens: text never becomes one of those.</summary>
    public required Dictionary<string, int> Vocabulary { get; init; }

    /// <summary>Id of each byte's own token.</summary>
    public required int[] ByteIds { get; init; }

    /// <summary>Merges of two neighbours.</summary>
    public required Dictionary<(int Left, int Right), Merge> Merges { get; init; }

    /// <summary>Whether a piece that is a token as a whole is not merged up.</summary>
    public required bool IgnoreMerges { get; init; }

    /// <summary>Bytes of each id; an added token's are its content.</summary>
    public required byte[][] Bytes { get; init; }

    /// <summary>Whether the text is brought to normalization form C first.</summary>
    public bool IsNormalized { get; init; }

    /// <summary>Pre-tokenizer steps in order.</summary>
    public IReadOnlyList<TextSplitter> Splitters { get; init; } = [];

    /// <summary>Whether a space goes before a stretch of text that has none.</summary>
    public bool AddPrefixSpace { get; init; }

    /// <summary>Stages of a SentencePiece file; null for byte-level ones, to which alone the three above apply.</summary>
    public SentencePieceStages? SentencePiece { get; init; }

    /// <summary>The added tokens.</summary>
    public required IReadOnlyList<AddedToken> Added { get; init; }
}
