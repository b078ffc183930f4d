namespace Tessera.Server.Security;

/// <summary>A bucket that refills evenly and may go into debt. Not thread-safe: its owner locks.</summary>
/// <param name="perMinute">What flows in within a minute, and the most it holds.</param>
/// <param name="timeProvider">Clock.</param>
internal sealed class TokenBucket(int perMinute, TimeProvider timeProvider)
{
    private double _balance = perMinute;
    private long _refilled = timeProvider.GetTimestamp();

    /// <summary>What flows in within a minute.</summary>
    public int PerMinute => perMinute;

    /// <summary>What is in it now; below zero is debt.</summary>
    public double Balance
    {
        get
        {
            var now = timeProvider.GetTimestamp();
            _balance = Math.Min(perMinute, _balance + (timeProvider.GetElapsedTime(_refilled, now).TotalMinutes * perMinute));
            _refilled = now;
            return _balance;
        }
    }

    /// <summary>Time until it holds at least one, in whole milliseconds; zero when it does.</summary>
    public TimeSpan UntilOne => TimeSpan.FromMilliseconds(Math.Round(Math.Max(0, 1 - Balance) / perMinute * TimeSpan.MillisecondsPerMinute));

    /// <summary>Takes an amount out; a negative one is given back.</summary>
    public void Take(double amount) => _balance = Math.Min(perMinute, Balance - amount);
}
