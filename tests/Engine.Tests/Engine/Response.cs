using System.Threading.Channels;
using Tessera.Engine.Requests;

namespace Tessera.Engine.Tests.Engine;

/// <summary>All events of one response, read to the end, with the order of events checked.</summary>
internal sealed class Response
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private Response(IReadOnlyList<GenerationEvent> events) => Events = events;

    public IReadOnlyList<GenerationEvent> Events { get; }

    public FinishedEvent Finished => (FinishedEvent)Events[^1];

    public Usage Usage => Finished.Usage;

    public IReadOnlyList<int> Codes => [.. Events.OfType<LatentEvent>().Select(latent => latent.Code)];

    public IReadOnlyList<LatentHintEvent> Hints => [.. Events.OfType<LatentHintEvent>()];

    public string Reasoning => string.Concat(Events.OfType<ReasoningTextEvent>().Select(delta => delta.Text));

    public IReadOnlyList<int> ReasoningIds => [.. Events.OfType<ReasoningTextEvent>().SelectMany(delta => delta.TokenIds)];

    public string Answer => string.Concat(Events.OfType<AnswerTextEvent>().Select(delta => delta.Text));

    public IReadOnlyList<int> AnswerIds => [.. Events.OfType<AnswerTextEvent>().SelectMany(delta => delta.TokenIds)];

    /// <summary>Everything that was generated, for comparison.</summary>
    public string Fingerprint => $"{string.Join(',', Codes)}|{string.Join(',', ReasoningIds)}|{string.Join(',', AnswerIds)}|{Answer}|{Finished.Reason}|{Finished.Usage}";

    public static async Task<Response> ReadAsync(Generation generation)
    {
        using var patience = new CancellationTokenSource(Patience);
        var events = new List<GenerationEvent>();
        await foreach (var item in generation.Events.ReadAllAsync(patience.Token))
        {
            events.Add(item);
        }

        var response = new Response(events);
        response.AssertOrder();
        return response;
    }

    public static async Task<GenerationEvent> NextAsync(ChannelReader<GenerationEvent> events)
    {
        using var patience = new CancellationTokenSource(Patience);
        return await events.ReadAsync(patience.Token);
    }

    private void AssertOrder()
    {
        Assert.Single(Events.OfType<FinishedEvent>());
        Assert.IsType<FinishedEvent>(Events[^1]);
        if (Events.Count > 1)
        {
            Assert.IsType<AcceptedEvent>(Events[0]);
            Assert.Single(Events.OfType<AcceptedEvent>());
        }

        Assert.Equal(Usage.CompletionTokens, Usage.LatentTokens + Usage.ControlTokens + Usage.ReasoningTextTokens + Usage.AnswerTokens);
        Assert.Equal(Usage.LatentTokens, Codes.Count);
        Assert.Equal(Usage.ReasoningTextTokens, ReasoningIds.Count);
        Assert.InRange(Usage.AnswerTokens - AnswerIds.Count, 0, 1);
    }
}
