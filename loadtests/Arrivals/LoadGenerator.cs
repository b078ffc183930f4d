using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Arrivals;

/// <summary>Sends a list of requests in closed or open loop and keeps their outcomes in the order of the list.</summary>
public sealed class LoadGenerator
{
    // The timer wakes up to about a millisecond late; the rest is spun. At 100 requests/s this is a few percent of one core.
    private static readonly TimeSpan SpinTime = TimeSpan.FromMilliseconds(1);

    private readonly IGenerationTarget _target;
    private readonly ArrivalSettings _arrivals;
    private readonly TimeProvider _clock;

    /// <summary>Creates a generator.</summary>
    /// <param name="target">The server.</param>
    /// <param name="arrivals">When to send.</param>
    /// <param name="clock">Clock of the schedule; its timestamps are monotonic, so a jump of the wall clock changes nothing.</param>
    public LoadGenerator(IGenerationTarget target, ArrivalSettings arrivals, TimeProvider clock)
    {
        _target = target;
        _arrivals = arrivals;
        _clock = clock;
    }

    /// <summary>Runs all requests; those that an interruption left untouched stay null.</summary>
    /// <param name="requests">What to send, in order.</param>
    /// <param name="seed">Seed of the arrival times.</param>
    /// <param name="requestEnded">Called after each request, from any thread.</param>
    /// <param name="interruption">Sends no more, and ends what runs.</param>
    public Task<RequestOutcome?[]> RunAsync(
        IReadOnlyList<TargetRequest> requests, int seed, Action<RequestOutcome> requestEnded, CancellationToken interruption)
    {
        ArgumentNullException.ThrowIfNull(requests);
        ArgumentNullException.ThrowIfNull(requestEnded);
        return _arrivals.IsOpen
            ? RunOpenAsync(requests, ArrivalSchedule.Compute(requests.Count, _arrivals, seed), requestEnded, interruption)
            : RunClosedAsync(requests, requestEnded, interruption);
    }

    // Each worker takes the next request when its last one ended.
    private async Task<RequestOutcome?[]> RunClosedAsync(
        IReadOnlyList<TargetRequest> requests, Action<RequestOutcome> requestEnded, CancellationToken interruption)
    {
        var outcomes = new RequestOutcome?[requests.Count];
        var taken = -1;
        async Task WorkAsync()
        {
            while (!interruption.IsCancellationRequested && Interlocked.Increment(ref taken) is var next && next < requests.Count)
            {
                var outcome = await _target.GenerateAsync(requests[next], interruption).ConfigureAwait(false);
                outcomes[next] = outcome;
                requestEnded(outcome);
            }
        }

        var workers = Math.Min(_arrivals.Concurrency, requests.Count);
        await Task.WhenAll(Enumerable.Range(0, workers).Select(_ => WorkAsync())).ConfigureAwait(false);
        return outcomes;
    }

    private async Task<RequestOutcome?[]> RunOpenAsync(
        IReadOnlyList<TargetRequest> requests, TimeSpan[] arrivals, Action<RequestOutcome> requestEnded, CancellationToken interruption)
    {
        var outcomes = new RequestOutcome?[requests.Count];
        var running = new List<Task>(requests.Count);
        using var room = new SemaphoreSlim(_arrivals.Concurrency);
        var start = _clock.GetTimestamp();
        async Task SendAsync(int index)
        {
            var intended = start + (long)(arrivals[index].TotalSeconds * _clock.TimestampFrequency);
            try
            {
                await room.WaitAsync(interruption).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            var outcome = await _target.GenerateAsync(requests[index] with { IntendedTimestamp = intended }, interruption).ConfigureAwait(false);
            outcomes[index] = outcome;
            room.Release();
            requestEnded(outcome);
        }

        // A thread of its own: the pool may be busy with what the server sends.
        await Task.Factory.StartNew(
            () =>
            {
                for (var i = 0; i < requests.Count && WaitUntil(start, arrivals[i], interruption); i++)
                {
                    var index = i;
                    running.Add(Task.Run(() => SendAsync(index), CancellationToken.None));
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).ConfigureAwait(false);
        await Task.WhenAll(running).ConfigureAwait(false);
        return outcomes;
    }

    private bool WaitUntil(long start, TimeSpan due, CancellationToken interruption)
    {
        while (!interruption.IsCancellationRequested)
        {
            var left = due - _clock.GetElapsedTime(start);
            if (left <= TimeSpan.Zero)
            {
                return true;
            }

            if (left > SpinTime)
            {
                // Whole milliseconds, rounded down.
                interruption.WaitHandle.WaitOne((int)(left - SpinTime).TotalMilliseconds);
            }

            if (left <= SpinTime)
            {
                Thread.Sleep(0);
            }
        }

        return false;
    }
}
