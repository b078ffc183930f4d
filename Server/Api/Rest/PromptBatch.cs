using System.Threading.Channels;
using Tessera.Engine;
using Tessera.Engine.Requests;

namespace Tessera.Server.Api.Rest;

/// <summary>
/// The generations of one request, one for each of its prompts. Their events come as those of one response: choice c of prompt p is choice p x n + c, and the
/// one end has the sums.
/// </summary>
internal sealed class PromptBatch
{
    private readonly IReadOnlyList<Generation> _generations;
    private int _promptTokens;

    /// <summary>Takes generations over.</summary>
    /// <param name="generations">At least one, all with the same number of choices.</param>
    public PromptBatch(IReadOnlyList<Generation> generations)
    {
        _generations = generations;
        Events = generations.Count == 1 ? generations[0].Events : Merge();
    }

    /// <summary>The generations in the order of their prompts.</summary>
    public IReadOnlyList<Generation> Generations => _generations;

    /// <summary>Events of all; completes after exactly one <see cref="FinishedEvent"/>.</summary>
    public ChannelReader<GenerationEvent> Events { get; }

    /// <summary>Cancels what still runs.</summary>
    public void Cancel()
    {
        foreach (var generation in _generations)
        {
            generation.Cancel();
        }
    }

    // Holds no more than the generations' own channels would.
    private ChannelReader<GenerationEvent> Merge()
    {
        var merged = Channel.CreateUnbounded<GenerationEvent>(new UnboundedChannelOptions { SingleReader = true });
        _ = MergeAsync(merged.Writer);
        return merged.Reader;
    }

    private async Task MergeAsync(ChannelWriter<GenerationEvent> merged)
    {
        var ends = await Task.WhenAll(_generations.Select((generation, prompt) => CopyAsync(generation, prompt * generation.Request.N, merged))).ConfigureAwait(false);
        merged.TryWrite(FinishedEvent.Sum(ends));
        merged.Complete();
    }

    private async Task<FinishedEvent> CopyAsync(Generation generation, int firstChoice, ChannelWriter<GenerationEvent> merged)
    {
        await foreach (var happened in generation.Events.ReadAllAsync().ConfigureAwait(false))
        {
            if (Translate(happened, generation.Request.N, firstChoice) is { } translated)
            {
                merged.TryWrite(translated);
            }
        }

        var end = await generation.WhenFinished.ConfigureAwait(false);
        if (end.Reason is not (FinishReason.Stop or FinishReason.Length))
        {
            // The request fails as a whole: what the other prompts would still give nobody gets.
            Cancel();
        }

        return end;
    }

    private GenerationEvent? Translate(GenerationEvent happened, int n, int firstChoice) => happened switch
    {
        AcceptedEvent accepted => new AcceptedEvent(Interlocked.Add(ref _promptTokens, accepted.PromptTokens)),
        FinishedEvent end => n == 1 ? new ChoiceFinishedEvent(end.Reason, end.Usage, end.Savings) { Choice = firstChoice } : null,
        _ => happened with { Choice = firstChoice + happened.Choice },
    };
}
