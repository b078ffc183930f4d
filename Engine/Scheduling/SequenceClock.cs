using Tessera.Engine.Requests;
using Tessera.Engine.Telemetry;

namespace Tessera.Engine.Scheduling;

/// <summary>Notes when things happened to a sequence. Times are <see cref="TimeProvider"/> timestamps.</summary>
internal sealed class SequenceClock(TimeProvider timeProvider, EngineMeter? meter = null)
{
    private readonly long _submitted = timeProvider.GetTimestamp();
    private long? _admitted;
    private long? _firstToken;
    private long _lastToken;
    private int _tokenCount;

    /// <summary>How long ago the request was submitted.</summary>
    public TimeSpan SinceSubmission => timeProvider.GetElapsedTime(_submitted);

    /// <summary>Whether the sequence had a slot before.</summary>
    public bool IsAdmitted => _admitted is not null;

    /// <summary>The sequence got a slot; the first time counts.</summary>
    public void MarkAdmitted() => _admitted ??= timeProvider.GetTimestamp();

    /// <summary>A token was generated.</summary>
    public void MarkToken()
    {
        var now = timeProvider.GetTimestamp();
        if (_firstToken is not null)
        {
            meter?.RecordInterTokenTime(Between(_lastToken, now));
        }

        _lastToken = now;
        _firstToken ??= now;
        _tokenCount++;
    }

    /// <summary>Where the time went until now. What did not happen took no time.</summary>
    public Timings ToTimings()
    {
        var now = timeProvider.GetTimestamp();
        var queue = Between(_submitted, _admitted ?? now);
        if (_admitted is not { } admitted || _firstToken is not { } firstToken)
        {
            return new Timings(queue, TimeSpan.Zero, TimeSpan.Zero, TimeSpan.Zero, Between(_submitted, now));
        }

        var interToken = _tokenCount < 2 ? TimeSpan.Zero : Between(firstToken, _lastToken) / (_tokenCount - 1);
        return new Timings(queue, Between(admitted, firstToken), Between(_submitted, firstToken), interToken, Between(_submitted, now));
    }

    private TimeSpan Between(long start, long end) => timeProvider.GetElapsedTime(start, end);
}
