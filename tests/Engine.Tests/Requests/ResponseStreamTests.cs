using Tessera.Engine.Execution;
using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;

namespace Tessera.Engine.Tests.Requests;

public sealed class ResponseStreamTests
{
    private static readonly Timings NoTime = new(TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero);
    private int _completedCount;

    [Fact]
    public void Finish_Twice_WritesTheFirstOnly()
    {
        var stream = Create();

        stream.Finish(EndingFor(FinishReason.Stop));
        stream.Finish(EndingFor(FinishReason.Error));
        stream.Publish(new AcceptedEvent(1));

        Assert.Equal(FinishReason.Stop, Assert.IsType<FinishedEvent>(Assert.Single(Read(stream))).Reason);
        Assert.Equal(1, _completedCount);
    }

    [Fact]
    public void Finish_WhileHintsAreAwaited_WaitsForThem()
    {
        var stream = Create();
        stream.ExpectHints();
        stream.Finish(EndingFor(FinishReason.Stop, latents: 1));
        Assert.False(stream.IsCompleted);

        stream.DeliverHints(0, [7], [new LatentHint("text", 3, 0.25f)]);

        var events = Read(stream);
        Assert.Equal(new LatentHintEvent(0, 0, 7, "text", 0.25f), events[0]);
        Assert.Equal(3, Assert.IsType<FinishedEvent>(events[1]).Savings.TextEquivalentTokens);
        Assert.Equal(2, events.Count);
    }

    [Theory]
    [InlineData(FinishReason.Cancelled)]
    [InlineData(FinishReason.Error)]
    [InlineData(FinishReason.Shutdown)]
    public void Finish_ForOtherReasons_DoesNotWait(FinishReason reason)
    {
        var stream = Create();
        stream.ExpectHints();

        stream.Finish(EndingFor(reason));
        stream.DeliverHints(0, [7], [new LatentHint("text", 3, 0.25f)]);

        Assert.Equal(reason, Assert.IsType<FinishedEvent>(Assert.Single(Read(stream))).Reason);
    }

    [Fact]
    public void RequestCancel_ManyTimes_TellsTheLoopOnce()
    {
        var stream = Create();

        Assert.True(stream.RequestCancel());
        Assert.False(stream.RequestCancel());
        stream.Finish(EndingFor(FinishReason.Cancelled));
        Assert.False(stream.RequestCancel());
        Assert.Single(Read(stream));
    }

    [Fact]
    public void Publish_OfEverythingARequestCanHave_Fits()
    {
        const int MaxTokens = 6;
        var stream = Create(MaxTokens);
        stream.Publish(new AcceptedEvent(1));
        for (var i = 0; i < MaxTokens; i++)
        {
            stream.Publish(new LatentEvent(0, i, 0));
        }

        stream.ExpectHints();
        stream.Finish(EndingFor(FinishReason.Length, latents: MaxTokens));
        stream.DeliverHints(0, new int[MaxTokens], [.. Enumerable.Repeat(new LatentHint("", 1, 1), MaxTokens)]);

        Assert.Equal(1 + (2 * MaxTokens) + 1, Read(stream).Count);
    }

    private static Ending EndingFor(FinishReason reason, int latents = 0) => new(reason, new Usage(1, 0, latents, 0, 0, 0), 0, NoTime);

    private static List<GenerationEvent> Read(ResponseStream stream)
    {
        var events = new List<GenerationEvent>();
        while (stream.Reader.TryRead(out var item))
        {
            events.Add(item);
        }

        return events;
    }

    private ResponseStream Create(int maxTokens = 10) => new(maxTokens, new SavingsCalculator(4, 100), _ => _completedCount++);
}
