using Tessera.Engine.Requests;

namespace Tessera.Engine.Tests.Requests;

public sealed class EventQueueTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    [Fact]
    public void Write_WhileNobodyWaits_AsksForNoWake()
    {
        var queue = new EventQueue(4);

        Assert.False(queue.Write(Event(1)));
        Assert.False(queue.Write(Event(2)));

        Assert.Equal(2, queue.Count);
        Assert.Equal([1, 2], Take(queue));
    }

    [Fact]
    public async Task Write_WhileTheReaderWaits_AsksForOneWakeForAllEvents()
    {
        var queue = new EventQueue(4);
        var waiting = queue.WaitToReadAsync(TestContext.Current.CancellationToken);

        Assert.True(queue.Write(Event(1)));
        Assert.False(queue.Write(Event(2)));
        Assert.False(waiting.IsCompleted);
        queue.Wake();

        Assert.True(await waiting);
        Assert.Equal([1, 2], Take(queue));
    }

    [Fact]
    public async Task Write_OfTheLastEvent_EndsTheReader()
    {
        var queue = new EventQueue(4);
        var reading = Task.Run(async () =>
        {
            var read = new List<int>();
            await foreach (var item in queue.ReadAllAsync())
            {
                read.Add(IdOf(item));
            }

            return read;
        });

        queue.Write(Event(1), isLast: true);
        while (!reading.IsCompleted)
        {
            queue.Wake();
            await Task.Yield();
        }

        Assert.Equal([1], await reading);
        await queue.Completion.WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.False(await queue.WaitToReadAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Write_PastCapacityOrEnd_Throws()
    {
        var queue = new EventQueue(1);
        queue.Write(Event(1));
        Assert.Contains("full at 1", Assert.Throws<InvalidOperationException>(() => queue.Write(Event(2))).Message, StringComparison.Ordinal);

        Take(queue);
        queue.Write(Event(3), isLast: true);
        Take(queue);
        Assert.Contains("after its last", Assert.Throws<InvalidOperationException>(() => queue.Write(Event(4))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WaitToRead_OfASecondReader_Throws()
    {
        var queue = new EventQueue(1);
        var first = queue.WaitToReadAsync(TestContext.Current.CancellationToken);

        await Assert.ThrowsAsync<InvalidOperationException>(() => queue.WaitToReadAsync(TestContext.Current.CancellationToken).AsTask());

        queue.Write(Event(1));
        queue.Wake();
        Assert.True(await first);
    }

    [Fact]
    public async Task WaitToRead_Cancelled_EndsAndLosesNothing()
    {
        var queue = new EventQueue(4);
        using var source = new CancellationTokenSource();
        var waiting = queue.WaitToReadAsync(source.Token).AsTask();

        await source.CancelAsync();
        var error = await Assert.ThrowsAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
        Assert.Equal(source.Token, error.CancellationToken);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => queue.WaitToReadAsync(source.Token).AsTask());

        var next = queue.WaitToReadAsync(TestContext.Current.CancellationToken);
        Assert.True(queue.Write(Event(1)));
        queue.Wake();
        Assert.True(await next);
        Assert.Equal([1], Take(queue));
    }

    [Fact]
    public async Task WaitToRead_CancelledWhenEventsAreThere_EndsWithThem()
    {
        var queue = new EventQueue(4);
        using var source = new CancellationTokenSource();
        var waiting = queue.WaitToReadAsync(source.Token);
        queue.Write(Event(1));

        await source.CancelAsync();
        queue.Wake();

        Assert.True(await waiting);
        Assert.Equal([1], Take(queue));
    }

    [Fact]
    public async Task Reader_OnAnotherThread_GetsEveryEventInOrder()
    {
        const int Count = 50_000;
        var queue = new EventQueue(Count);
        var delivery = new EventDelivery();
        var reading = Task.Run(async () =>
        {
            var expected = 0;
            await foreach (var item in queue.ReadAllAsync())
            {
                Assert.Equal(expected++, IdOf(item));
            }

            return expected;
        });

        for (var i = 0; i < Count; i++)
        {
            if (queue.Write(Event(i), isLast: i == Count - 1))
            {
                delivery.Add(queue);
            }

            delivery.Send();
        }

        Assert.Equal(Count, await reading.WaitAsync(Patience, TestContext.Current.CancellationToken));
    }

    private static AcceptedEvent Event(int id) => new(id);

    private static int IdOf(GenerationEvent item) => ((AcceptedEvent)item).PromptTokens;

    private static List<int> Take(EventQueue queue)
    {
        var ids = new List<int>();
        while (queue.TryRead(out var item))
        {
            ids.Add(IdOf(item));
        }

        return ids;
    }
}
