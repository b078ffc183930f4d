using Tessera.Engine.Scheduling;

namespace Tessera.Engine.Tests.Scheduling;

public sealed class QueuePlaceTests
{
    [Fact]
    public void Dispose_UnusedPlace_GivesItBackOnce()
    {
        var queue = new RequestQueue(maxRequests: 1, maxTokens: 100);
        Assert.True(queue.TryReserve(40));
        var place = new QueuePlace(queue, 40);
        Assert.True(queue.IsFull);

        place.Dispose();
        place.Dispose();

        Assert.Equal((0, 0L, false), (queue.Count, queue.TokenCount, queue.IsFull));
    }

    [Fact]
    public void TryUse_ShorterPrompt_KeepsThePlaceAndGivesTheRestBack()
    {
        var queue = new RequestQueue(maxRequests: 4, maxTokens: 100);
        Assert.True(queue.TryReserve(40));
        using (var place = new QueuePlace(queue, 40))
        {
            Assert.True(place.TryUse(7));
        }

        Assert.Equal((1, 7L), (queue.Count, queue.TokenCount));
    }

    [Fact]
    public void TryUse_LongerPromptThanThereIsRoomFor_IsRefusedAndThePlaceGivenBack()
    {
        var queue = new RequestQueue(maxRequests: 4, maxTokens: 100);
        Assert.True(queue.TryReserve(60));
        Assert.True(queue.TryReserve(40));
        using (var place = new QueuePlace(queue, 40))
        {
            Assert.False(place.TryUse(41));
            Assert.True(queue.IsFull);
        }

        Assert.Equal((1, 60L, false), (queue.Count, queue.TokenCount, queue.IsFull));
    }

    [Fact]
    public void TryUse_SeveralRequests_ShareTheTokensAndWhatIsNotUsedIsGivenBack()
    {
        var queue = new RequestQueue(maxRequests: 4, maxTokens: 100);
        Assert.False(queue.TryReserve(50, requests: 5));
        Assert.True(queue.TryReserve(50, requests: 4));
        Assert.True(queue.IsFull);
        using (var place = new QueuePlace(queue, 50, requests: 4))
        {
            Assert.True(place.TryUse(20));
            Assert.True(place.TryUse(25));
            Assert.Equal((4, 50L), (queue.Count, queue.TokenCount));
            // More than is left of the tokens, and room for it in the queue.
            Assert.True(place.TryUse(10));
            Assert.Equal((4, 55L), (queue.Count, queue.TokenCount));
        }

        Assert.Equal((3, 55L), (queue.Count, queue.TokenCount));
    }

    [Fact]
    public void TryUse_LonePromptAboveTheBound_IsTaken()
    {
        var queue = new RequestQueue(maxRequests: 4, maxTokens: 100);
        Assert.True(queue.TryReserve(150));
        using var place = new QueuePlace(queue, 150);

        Assert.True(place.TryUse(160));
        Assert.True(queue.IsFull);
    }
}
