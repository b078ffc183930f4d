using Tessera.Engine.Reasoning;
using Tessera.Models;

namespace Tessera.Engine.Requests;

/// <summary>Turns the prompt of a request, in whichever form it came, into ids.</summary>
internal sealed class PromptReader(GenerationInput input, ModelPackage package, GenerationFieldNames names, ProblemList problems)
{
    // Far above the mean of any tokenizer: a prompt that cannot fit is refused before it costs any tokenising.
    private const int MaxCharactersPerPosition = 16;

    private int _positionLimit;

    /// <summary>The ids, <c>&lt;think&gt;</c> not included; null when there are problems.</summary>
    /// <param name="positionLimit">Positions that one request can have.</param>
    public int[]? Read(int positionLimit)
    {
        _positionLimit = positionLimit;
        (string Field, bool IsGiven)[] sources =
            [(names.Prompt, input.Prompt is not null), (names.Chat, input.Chat is not null), (names.PromptIds, input.PromptIds is not null)];
        var given = sources.Where(source => source.IsGiven).Select(source => source.Field).ToList();
        if (given.Count != 1)
        {
            problems.Add(
                given.Count == 0 ? names.Prompt : given[0],
                given.Count == 0 ? $"is required: give {names.Prompt} or {names.Chat}" : $"must not be given together with {given[1]}");
            return null;
        }

        return input.Prompt is not null ? ReadText(input.Prompt) : input.Chat is not null ? ReadChat(input.Chat) : ReadIds(input.PromptIds!);
    }

    private int[]? ReadText(string prompt)
    {
        if (prompt.Length == 0)
        {
            problems.Add(names.Prompt, "must not be empty");
            return null;
        }

        return HasTokenisableLength(names.Prompt, prompt.Length) ? package.Tokenizer.Encode(prompt) : null;
    }

    private int[]? ReadChat(IReadOnlyList<ChatTurn> chat)
    {
        if (chat.Count == 0)
        {
            problems.Add(names.Chat, "must have at least one message");
            return null;
        }

        var before = problems.Problems.Count;
        long characters = 0;
        for (var i = 0; i < chat.Count; i++)
        {
            CheckMessage($"{names.Chat}[{i}]", chat[i]);
            characters += chat[i].Content?.Length ?? 0;
        }

        return problems.Problems.Count == before && HasTokenisableLength(names.Chat, characters) ? package.EncodeChat(chat) : null;
    }

    private void CheckMessage(string field, ChatTurn message)
    {
        if (message.Role is not ("system" or "user" or "assistant"))
        {
            problems.Add($"{field}.role", $"must be one of system, user, assistant; got {ProblemList.Show(message.Role ?? "")}");
        }

        if (string.IsNullOrEmpty(message.Content))
        {
            problems.Add($"{field}.content", "must not be empty");
        }
    }

    private bool HasTokenisableLength(string field, long characters)
    {
        var limit = (long)_positionLimit * MaxCharactersPerPosition;
        if (characters <= limit)
        {
            return true;
        }

        problems.Add(field, $"must have at most {limit} characters for the {_positionLimit} positions of this model; got {characters}");
        return false;
    }

    private int[]? ReadIds(IReadOnlyList<int> ids)
    {
        // One problem is enough, and a prompt above the limit gets its own message from whoever fits the tokens.
        if (ids.Count == 0)
        {
            problems.Add(names.PromptIds, "must not be empty");
            return null;
        }

        if (ids.Count <= _positionLimit && PromptGrammar.FindProblem(package.Vocabulary, ids) is { } problem)
        {
            problems.Add(problem.Index is { } index ? $"{names.PromptIds}[{index}]" : names.PromptIds, problem.Message);
            return null;
        }

        return [.. ids];
    }
}
