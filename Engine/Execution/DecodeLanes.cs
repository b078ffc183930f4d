using System.Diagnostics;

namespace Tessera.Engine.Execution;

/// <summary>
/// Threads on which parts of a step's decode rows run side by side, a call of the graph for each part. Used by the engine's one thread, which takes the first part
/// itself; between steps the others sleep.
/// </summary>
internal sealed class DecodeLanes : IDisposable
{
    private readonly Action<DecoderBinding> _run;
    private readonly TimeSpan _spin;
    private readonly Lane[] _lanes;

    /// <summary>Starts the threads.</summary>
    /// <param name="count">Most parts of a step, at least two.</param>
    /// <param name="spinMicroseconds">How long the engine's thread spins before it sleeps, while it waits for the others.</param>
    /// <param name="run">Runs one part, on any thread.</param>
    public DecodeLanes(int count, int spinMicroseconds, Action<DecoderBinding> run)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 2);
        _run = run;
        _spin = TimeSpan.FromMicroseconds(spinMicroseconds);
        _lanes = [.. Enumerable.Range(1, count - 1).Select(i => new Lane(run, i))];
    }

    /// <summary>Most parts of a step.</summary>
    public int Count => _lanes.Length + 1;

    /// <summary>Runs parts side by side, and returns when all of them have ended.</summary>
    /// <param name="parts">At most <see cref="Count"/>.</param>
    /// <exception cref="Exception">What one of them threw.</exception>
    public void Run(ReadOnlySpan<DecoderBinding> parts)
    {
        for (var i = 1; i < parts.Length; i++)
            _lanes[i - 1].Begin(parts[i]);
        Exception? error = null;
        try
        {
            _run(parts[0]);
        }
        finally
        {
            // Whatever happened here: the others still read and write the step's memory.
            for (var i = 1; i < parts.Length; i++)
                error = _lanes[i - 1].End(_spin) ?? error;
        }

        if (error is not null)
            throw new InvalidOperationException("a part of the decode rows failed", error);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var lane in _lanes)
            lane.Dispose();
    }

    private sealed class Lane : IDisposable
    {
        private readonly Action<DecoderBinding> _run;
        private readonly Thread _thread;
        private readonly SemaphoreSlim _begin = new(0);
        private readonly ManualResetEventSlim _ended = new();
        private DecoderBinding? _part;
        private Exception? _error;
        private bool _isDisposed;

        public Lane(Action<DecoderBinding> run, int number)
        {
            _run = run;
            _thread = new Thread(Loop) { IsBackground = true, Name = $"tessera decode {number}" };
            _thread.Start();
        }

        public void Begin(DecoderBinding part)
        {
            (_part, _error) = (part, null);
            _ended.Reset();
            _begin.Release();
        }

        public Exception? End(TimeSpan spin)
        {
            var start = Stopwatch.GetTimestamp();
            while (!_ended.IsSet && Stopwatch.GetElapsedTime(start) < spin)
                Thread.SpinWait(10);
            _ended.Wait();
            return _error;
        }

        public void Dispose()
        {
            _isDisposed = true;
            _begin.Release();
            _thread.Join();
            _begin.Dispose();
            _ended.Dispose();
        }

        private void Loop()
        {
            while (true)
            {
                _begin.Wait();
                if (_isDisposed)
                    return;
                try
                {
                    _run(_part!);
                }
                catch (Exception exception)
                {
                    _error = exception;
                }

                _ended.Set();
            }
        }
    }
}
