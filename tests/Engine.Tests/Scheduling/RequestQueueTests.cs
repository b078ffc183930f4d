using Tessera.Engine.Scheduling;

namespace Tessera.Engine.Tests.Scheduling;

public sealed class RequestQueueTests
{
    [Fact]
    public void TryReserve_UpToTheRequests_IsTrue()
    {
        var queue = new RequestQueue(maxRequests: 2, maxTokens: 100);

        Assert.True(queue.TryReserve(10));
        Assert.True(queue.TryReserve(10));
        Assert.False(queue.TryReserve(10));
        Assert.Equal(2, queue.Count);

        queue.Unreserve(10);
        Assert.True(queue.TryReserve(10));
    }

    [Fact]
    public void TryReserve_UpToTheTokens_IsTrue()
    {
        var queue = new RequestQueue(maxRequests: 10, maxTokens: 100);

        Assert.True(queue.TryReserve(60));
        Assert.False(queue.TryReserve(41));
        Assert.True(queue.TryReserve(40));
    }

    [Fact]
    public void TryReserve_OfPromptAboveTheTokens_IsTrueWhenAlone()
    {
        var queue = new RequestQueue(maxRequests: 10, maxTokens: 100);

        Assert.True(queue.TryReserve(500));
        Assert.False(queue.TryReserve(1));
    }

    [Fact]
    public void AssertInvariants_WithTokensButNoRequests_Throws()
    {
        var queue = new RequestQueue(maxRequests: 10, maxTokens: 100);
        queue.TryReserve(5);
        queue.Unreserve(4);

        Assert.Throws<InvalidOperationException>(queue.AssertInvariants);
    }
}
