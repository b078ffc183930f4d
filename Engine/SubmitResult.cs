using System.Threading.Channels;
using Tessera.Engine.Requests;

namespace Tessera.Engine;

/// <summary>Outcome of a submission: a closed set.</summary>
public abstract record SubmitResult
{
    private SubmitResult()
    {
    }

    /// <summary>The request waits or runs; read its events to the end.</summary>
    public sealed record Accepted(Generation Generation) : SubmitResult;

    /// <summary>The queue is full now; try again after the given time.</summary>
    public sealed record Full(TimeSpan RetryAfter) : SubmitResult;

    /// <summary>The engine is draining or stopped.</summary>
    public sealed record Draining : SubmitResult;
}

/// <summary>A submitted request as its client sees it.</summary>
public sealed class Generation
{
    private readonly Action _cancel;

    internal Generation(GenerationRequest request, ChannelReader<GenerationEvent> events, Task<FinishedEvent> whenFinished, Action cancel)
    {
        Request = request;
        Events = events;
        WhenFinished = whenFinished;
        _cancel = cancel;
    }

    /// <summary>The request.</summary>
    public GenerationRequest Request { get; }

    /// <summary>Events to read; completes after exactly one <see cref="FinishedEvent"/>. Has room for every event of the request, so the loop never waits.</summary>
    public ChannelReader<GenerationEvent> Events { get; }

    /// <summary>The last event, whether or not anybody reads the events; never fails.</summary>
    public Task<FinishedEvent> WhenFinished { get; }

    /// <summary>Asks for cancellation; handled between steps; a Finished event still comes. May be called at any time, any number of times.</summary>
    public void Cancel() => _cancel();
}
