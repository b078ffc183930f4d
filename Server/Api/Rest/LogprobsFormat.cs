using Tessera.Engine.Requests;
using Tessera.Models;
using Tessera.Server.Api.Gathering;

namespace Tessera.Server.Api.Rest;

/// <summary>Puts log probabilities into OpenAI's shapes.</summary>
internal sealed class LogprobsFormat(ModelPackage package)
{
    /// <summary>Whether an event brings log probabilities.</summary>
    public static bool HasAny(GenerationEvent happened) => LogprobsOf(happened).Count > 0;

    /// <summary>Those of a whole choice.</summary>
    public ChatLogprobs Of(GatheredChoice choice) => new(Format(choice.AnswerLogprobs))
    {
        ReasoningContent = choice.ReasoningLogprobs.Count == 0 ? null : Format(choice.ReasoningLogprobs),
        LatentReasoning = choice.Spans.Count == 0 ? null : Format([.. choice.Spans.SelectMany(span => span.Logprobs)]),
    };

    /// <summary>Those of one event; null when it brings none.</summary>
    public ChatLogprobs? Of(GenerationEvent happened) => !HasAny(happened) ? null : happened switch
    {
        AnswerTextEvent => new(Format(LogprobsOf(happened))),
        ReasoningTextEvent => new([]) { ReasoningContent = Format(LogprobsOf(happened)) },
        _ => new([]) { LatentReasoning = Format(LogprobsOf(happened)) },
    };

    /// <summary>Entries of a list of tokens.</summary>
    public IReadOnlyList<TokenLogprobBody> Format(IReadOnlyList<TokenLogprob> logprobs) => [.. logprobs.Select(entry => new TokenLogprobBody(
        TextOf(entry.Id), entry.Logprob, BytesOf(entry.Id),
        [.. entry.Top.Select(top => new AlternativeLogprob(TextOf(top.Id), top.Logprob, BytesOf(top.Id), top.Id))], entry.Id))];

    /// <summary>The parallel arrays of a text completion.</summary>
    /// <param name="logprobs">Tokens of the answer.</param>
    /// <param name="offset">Where the first begins; moved behind the last.</param>
    public CompletionLogprobs ToArrays(IReadOnlyList<TokenLogprob> logprobs, ref int offset)
    {
        var offsets = new int[logprobs.Count];
        for (var i = 0; i < offsets.Length; i++)
        {
            offsets[i] = offset;
            offset += TextOf(logprobs[i].Id).Length;
        }
        return new(
            [.. logprobs.Select(entry => TextOf(entry.Id))], [.. logprobs.Select(entry => entry.Logprob)], [.. logprobs.Select(TopOf)], offsets);
    }

    private static IReadOnlyList<TokenLogprob> LogprobsOf(GenerationEvent happened) => happened switch
    {
        LatentEvent latent => latent.Logprobs ?? [],
        ReasoningTextEvent text => text.Logprobs ?? [],
        AnswerTextEvent text => text.Logprobs ?? [],
        _ => [],
    };

    // Two parts of characters can look the same: the more probable one stays.
    private Dictionary<string, float> TopOf(TokenLogprob entry)
    {
        var top = new Dictionary<string, float>();
        foreach (var (id, logprob) in entry.Top)
        {
            top.TryAdd(TextOf(id), logprob);
        }
        return top;
    }

    private string TextOf(int id) => package.Tokenizer.TextOf(id);

    private int[] BytesOf(int id)
    {
        var bytes = package.Tokenizer.BytesOf(id, skipSpecial: false);
        var numbers = new int[bytes.Length];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = bytes[i];
        }
        return numbers;
    }
}
