using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Server.Api.Operations;

/// <summary>A prompt as a client gives it to routes that generate nothing; exactly one of the three.</summary>
/// <param name="Text">Used as it is.</param>
/// <param name="Chat">Rendered with the package's chat format.</param>
/// <param name="Ids">Ids of the extended vocabulary.</param>
internal sealed record PromptInput(string? Text, IReadOnlyList<ChatTurn>? Chat, IReadOnlyList<double>? Ids);

/// <summary>The names under which a client knows the three.</summary>
internal sealed record PromptNames(string Text, string Chat, string? Ids);

/// <summary>Turns prompts into ids, within the bounds that a generation has.</summary>
internal sealed class PromptSource(ModelPackage package)
{
    // As for a generation: text that could never fit is refused before it costs any tokenising.
    private const int MaxCharactersPerPosition = 16;

    /// <summary>Characters that a text may have.</summary>
    public int MaxCharacters { get; } = (int)Math.Min(int.MaxValue, (long)package.Manifest.Architecture.MaxPositions * MaxCharactersPerPosition);

    /// <summary>Ids of a prompt; null when it is missing or wrong, which is then among the problems.</summary>
    public int[]? Encode(PromptInput input, PromptNames names, List<FieldProblem> problems)
    {
        var given = (input.Text is null ? 0 : 1) + (input.Chat is null ? 0 : 1) + (input.Ids is null ? 0 : 1);
        var all = string.Join(", ", new[] { names.Text, names.Chat, names.Ids }.Where(name => name is not null).Distinct());
        if (given != 1)
        {
            problems.Add(new(names.Text, $"expected exactly one of {all}, found {(given == 0 ? "none" : "more")}"));
            return null;
        }
        if (input.Text is { } text)
        {
            return HasBoundedLength(names.Text, text.Length, problems) ? package.Tokenizer.Encode(text) : null;
        }
        return input.Chat is { } chat ? EncodeChat(chat, names.Chat, problems) : ReadIds(input.Ids!, names.Ids!, package.Vocabulary.Size, problems);
    }

    /// <summary>Ids within the vocabulary; null when one is outside of it, which is then among the problems.</summary>
    public static int[]? ReadIds(IReadOnlyList<double> ids, string name, int limit, List<FieldProblem> problems)
    {
        var read = new int[ids.Count];
        for (var i = 0; i < read.Length; i++)
        {
            if (!(ids[i] >= 0 && ids[i] < limit && Math.Floor(ids[i]).Equals(ids[i])))
            {
                problems.Add(new($"{name}[{i}]", $"must be a whole number from 0 to {limit - 1}; got {ids[i]}"));
                return null;
            }
            read[i] = (int)ids[i];
        }
        return read;
    }

    /// <summary>Whether a text is short enough to be worked on.</summary>
    public bool HasBoundedLength(string name, long characters, List<FieldProblem> problems)
    {
        if (characters <= MaxCharacters)
        {
            return true;
        }
        problems.Add(new(name, $"must have at most {MaxCharacters} characters; got {characters}"));
        return false;
    }

    private int[]? EncodeChat(IReadOnlyList<ChatTurn> chat, string name, List<FieldProblem> problems)
    {
        for (var i = 0; i < chat.Count; i++)
        {
            if (chat[i].Role is not ("system" or "user" or "assistant"))
            {
                problems.Add(new($"{name}[{i}].role", $"must be one of system, user, assistant; got '{Echo.Shorten(chat[i].Role)}'"));
                return null;
            }
        }
        if (chat.Count == 0)
        {
            problems.Add(new(name, "must have at least one message"));
            return null;
        }
        return HasBoundedLength(name, chat.Sum(turn => (long)turn.Content.Length), problems) ? package.EncodeChat(chat) : null;
    }
}
