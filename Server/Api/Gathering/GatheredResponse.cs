using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Server.Api.Gathering;

/// <summary>A response as far as it has come: what every front says, before it is put into the words of one.</summary>
/// <param name="request">The valid request; of several prompts the first one's.</param>
/// <param name="vocabulary">Of the model.</param>
/// <param name="promptCount">Prompts, each with the choices of the request.</param>
internal sealed class GatheredResponse(GenerationRequest request, ExtendedVocabulary vocabulary, int promptCount = 1)
{
    private readonly GatheredChoice[] _choices = [.. Enumerable.Range(0, request.N * promptCount).Select(index => new GatheredChoice(index, vocabulary))];
    private FinishedEvent? _finished;

    /// <summary>The valid request.</summary>
    public GenerationRequest Request => request;

    /// <summary>All choices.</summary>
    public IReadOnlyList<GatheredChoice> Choices => _choices;

    /// <summary>That the request has a slot, or so many of its prompts that their tokens are these; null before.</summary>
    public AcceptedEvent? Accepted { get; private set; }

    /// <summary>Whether all events were added.</summary>
    public bool IsFinished => _finished is not null;

    /// <summary>How it ended; known when all events were added.</summary>
    public FinishedEvent Finished => _finished ?? throw new InvalidOperationException("The events of a request ended without a final one.");

    /// <summary>Whether an event is an end with an error, which no front says in the words of a response.</summary>
    public static bool IsFailedEnd(GenerationEvent happened) => happened is FinishedEvent { Reason: not (FinishReason.Stop or FinishReason.Length) }
        or ChoiceFinishedEvent { Reason: not (FinishReason.Stop or FinishReason.Length) };

    /// <summary>Takes an event in.</summary>
    public void Add(GenerationEvent happened)
    {
        switch (happened)
        {
            case AcceptedEvent accepted:
                Accepted = Accepted?.PromptTokens > accepted.PromptTokens ? Accepted : accepted;
                break;
            case FinishedEvent finished:
                _finished = finished;
                if (_choices.Length == 1 && _choices[0].End is null)
                {
                    Finish(_choices[0], new(finished.Reason, finished.Usage, finished.Savings));
                }
                break;
            case ChoiceFinishedEvent end:
                Finish(_choices[end.Choice], end);
                break;
            default:
                _choices[happened.Choice].Add(happened);
                break;
        }
    }

    /// <summary>Tokens so far over all choices, the prompt counted once.</summary>
    public Usage UsageSoFar()
    {
        if (_finished is not null)
        {
            return _finished.Usage;
        }
        var parts = _choices.Select(choice => choice.End?.Usage ?? choice.Tokens.UsageSoFar(Accepted)).ToList();
        return new(
            Accepted?.PromptTokens ?? 0, parts.Chunk(request.N).Sum(prompt => prompt.Max(part => part.CachedTokens)), parts.Sum(part => part.LatentTokens), parts.Sum(part => part.ControlTokens),
            parts.Sum(part => part.ReasoningTextTokens), parts.Sum(part => part.AnswerTokens));
    }

    private void Finish(GatheredChoice choice, ChoiceFinishedEvent end) => choice.Finish(end, endIsEos: request.StopTokenIds.Count == 0);
}
