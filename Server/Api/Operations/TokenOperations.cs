using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Server.Api.Operations;

/// <summary>Text to ids and back, for both fronts; nothing is generated.</summary>
internal sealed class TokenOperations(InferenceEngine engine)
{
    private readonly ModelPackage _package = engine.Package;
    private readonly PromptSource _prompts = new(engine.Package);

    /// <summary>Characters that a text may have.</summary>
    public int MaxCharacters => _prompts.MaxCharacters;

    // No text within its limit has more.
    private int MaxIds => MaxCharacters;

    /// <summary>Ids of a prompt.</summary>
    /// <param name="input">Text or chat.</param>
    /// <param name="names">The caller's names.</param>
    /// <param name="addThink">Whether <c>&lt;think&gt;</c> follows, as it does for a generation.</param>
    /// <param name="problems">Where problems go.</param>
    /// <returns>Null when there are problems.</returns>
    public int[]? Tokenize(PromptInput input, PromptNames names, bool addThink, List<FieldProblem> problems)
    {
        var ids = _prompts.Encode(input, names, problems);
        return ids is null || !addThink ? ids : [.. ids, _package.Vocabulary.ThinkId];
    }

    /// <summary>Text of ids.</summary>
    /// <param name="ids">Ids as they were given.</param>
    /// <param name="name">The caller's name of the ids.</param>
    /// <param name="skipSpecial">Whether latents, delimiters and <c>&lt;eos&gt;</c> leave no text.</param>
    /// <param name="problems">Where problems go.</param>
    /// <returns>Null when there are problems.</returns>
    public string? Detokenize(IReadOnlyList<double> ids, string name, bool skipSpecial, List<FieldProblem> problems)
    {
        if (ids.Count > MaxIds)
        {
            problems.Add(new(name, $"must have at most {MaxIds} ids; got {ids.Count}"));
            return null;
        }
        return PromptSource.ReadIds(ids, name, _package.Vocabulary.Size, problems) is { } read ? _package.Tokenizer.Decode(read, skipSpecial) : null;
    }

    /// <summary>What a token is, as one word.</summary>
    public string KindOf(int id) => _package.Vocabulary.KindOf(id) switch
    {
        TokenKind.Text => "text",
        TokenKind.Latent => "latent",
        TokenKind.Control => "control",
        _ => "end",
    };

    /// <summary>The token as text; U+FFFD where it is a part of a character.</summary>
    public string TextOf(int id) => _package.Tokenizer.TextOf(id);

    /// <summary>The token's bytes.</summary>
    public ReadOnlySpan<byte> BytesOf(int id) => _package.Tokenizer.BytesOf(id, skipSpecial: false);
}
