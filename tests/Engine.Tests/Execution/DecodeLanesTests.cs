using Tessera.Engine.Execution;

namespace Tessera.Engine.Tests.Execution;

public sealed class DecodeLanesTests
{
    [Fact]
    public void Run_PartThatFails_ThrowsWhenAllHaveEnded()
    {
        var ended = 0;
        var calls = 0;
        using var lanes = new DecodeLanes(3, spinMicroseconds: 0, _ =>
        {
            if (Interlocked.Increment(ref calls) == 2)
                throw new TimeoutException("the second");
            Thread.Sleep(20);
            Interlocked.Increment(ref ended);
        });

        var error = Assert.Throws<InvalidOperationException>(() => lanes.Run(new DecoderBinding[3]));

        Assert.Equal("the second", error.InnerException!.Message);
        Assert.Equal(2, ended);
    }

    [Fact]
    public void Run_FewerPartsThanLanes_RunsJustThose()
    {
        var calls = 0;
        using var lanes = new DecodeLanes(4, spinMicroseconds: 10, _ => Interlocked.Increment(ref calls));

        for (var i = 0; i < 50; i++)
            lanes.Run(new DecoderBinding[2]);

        Assert.Equal(100, calls);
    }
}
