namespace Tessera.Engine.Scheduling;

/// <summary>How fast the queue moves: the mean time between departures, recent ones counting most. Thread-safe.</summary>
internal sealed class DepartureRate(TimeProvider timeProvider)
{
    // Weight of the newest interval: about the last ten departures matter.
    private const double Weight = 0.2;
    private static readonly TimeSpan Shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private readonly Lock _lock = new();
    private long? _last;
    private double? _meanSeconds;

    /// <summary>A sequence left a queue.</summary>
    /// <param name="othersWait">Whether the queue was still busy: idle time between departures says nothing about its speed.</param>
    public void Mark(bool othersWait)
    {
        lock (_lock)
        {
            var now = timeProvider.GetTimestamp();
            if (_last is { } last)
            {
                var seconds = timeProvider.GetElapsedTime(last, now).TotalSeconds;
                _meanSeconds = _meanSeconds is { } mean ? mean + (Weight * (seconds - mean)) : seconds;
            }

            _last = othersWait ? now : null;
        }
    }

    /// <summary>When a refused client should come again: when half of the queue has left, at least a second and at most a minute.</summary>
    public TimeSpan RetryAfter(int waitingCount)
    {
        lock (_lock)
        {
            var seconds = (_meanSeconds ?? 0) * waitingCount / 2;
            return TimeSpan.FromSeconds(Math.Clamp(seconds, Shortest.TotalSeconds, Longest.TotalSeconds));
        }
    }
}
