using Tessera.Engine.Requests;

namespace Tessera.Engine.Tests.Requests;

public sealed class EventDeliveryTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);
    private readonly EventDelivery _delivery = new();

    [Fact]
    public async Task Send_ForSeveralReaders_WakesThemOnOneThread()
    {
        var queues = Enumerable.Range(0, 5).Select(_ => new EventQueue(1)).ToList();
        var woken = queues.Select(queue => Awaited(queue, () => Environment.CurrentManagedThreadId)).ToList();

        queues.ForEach(Write);
        Assert.All(woken, task => Assert.False(task.IsCompleted));
        _delivery.Send();

        var threads = await Task.WhenAll(woken).WaitAsync(Patience, TestContext.Current.CancellationToken);
        Assert.Single(threads.Distinct());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Send_WhileAReaderKeepsItsThread_WakesTheOthersWithTheNext(bool goesToSleep)
    {
        var (slow, other) = (new EventQueue(1), new EventQueue(1));
        using var started = new ManualResetEventSlim();
        using var mayEnd = new ManualResetEventSlim();
        var slowReader = Awaited(slow, () =>
        {
            started.Set();
            return mayEnd.Wait(Patience);
        });
        var otherReader = Awaited(other, () => true);

        Write(slow);
        Write(other);
        _delivery.Send();
        Assert.True(started.Wait(Patience, TestContext.Current.CancellationToken));
        Assert.False(otherReader.IsCompleted);
        if (goesToSleep)
        {
            _delivery.SendApart();
        }
        else
        {
            _delivery.Send();
        }

        Assert.True(await otherReader.WaitAsync(Patience, TestContext.Current.CancellationToken));
        mayEnd.Set();
        Assert.True(await slowReader.WaitAsync(Patience, TestContext.Current.CancellationToken));
    }

    private static async Task<T> Awaited<T>(EventQueue queue, Func<T> andThen)
    {
        Assert.True(await queue.WaitToReadAsync(TestContext.Current.CancellationToken).ConfigureAwait(false));
        return andThen();
    }

    private void Write(EventQueue queue)
    {
        Assert.True(queue.Write(new AcceptedEvent(1)));
        _delivery.Add(queue);
    }
}
