using Tessera.Engine.Scheduling;
using Tessera.Engine.Tests.Engine;

namespace Tessera.Engine.Tests.Scheduling;

public sealed class DepartureRateTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void RetryAfter_BeforeAnythingWasMeasured_IsASecond() => Assert.Equal(TimeSpan.FromSeconds(1), new DepartureRate(_time).RetryAfter(100));

    [Fact]
    public void RetryAfter_AtSteadyRate_IsHalfTheQueue()
    {
        var rate = new DepartureRate(_time);
        Depart(rate, count: 5, TimeSpan.FromMilliseconds(500));

        Assert.Equal(5, rate.RetryAfter(20).TotalSeconds, 6);
        Assert.Equal(TimeSpan.FromSeconds(60), rate.RetryAfter(10_000));
        Assert.Equal(TimeSpan.FromSeconds(1), rate.RetryAfter(1));
    }

    [Fact]
    public void RetryAfter_AfterIdleTime_DoesNotCountIt()
    {
        var rate = new DepartureRate(_time);
        Depart(rate, count: 3, TimeSpan.FromMilliseconds(500));
        rate.Mark(othersWait: false);
        _time.Advance(TimeSpan.FromHours(1));
        rate.Mark(othersWait: true);
        Depart(rate, count: 3, TimeSpan.FromMilliseconds(500));

        Assert.InRange(rate.RetryAfter(20).TotalSeconds, 1, 5);
    }

    private void Depart(DepartureRate rate, int count, TimeSpan interval)
    {
        for (var i = 0; i < count; i++)
        {
            rate.Mark(othersWait: true);
            _time.Advance(interval);
        }
    }
}
