using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Reasoning;
using Tessera.Engine.Requests;
using Tessera.Engine.Scheduling;
using Tessera.Engine.Telemetry;
using Tessera.Models;

namespace Tessera.Engine;

/// <summary>
/// Serves one model: one dedicated thread owns slots, KV cache and the step loop; requests come in and events go out through bounded channels.
/// </summary>
public sealed class InferenceEngine : IAsyncDisposable
{
    private readonly IModelRunner _runner;
    private readonly TimeProvider _timeProvider;
    private readonly int _slotCount;
    private readonly long _positionCapacity;
    private readonly RequestQueue _queue;
    private readonly DepartureRate _departures;
    private readonly LiveSequences _live = new();
    private readonly Channel<LoopCommand> _commands;
    private readonly HintWorker? _hints;
    private readonly SequenceFactory _sequences;
    private readonly StepLoop _loop;
    private readonly Lock _stateLock = new();
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _threadEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private EngineState _state = EngineState.Starting;
    private volatile EngineOptions _options;
    private volatile Exception? _endedBy;
    private int _isDisposed;

    /// <summary>Creates an engine and starts its thread; it is ready when a warm-up request was answered.</summary>
    /// <param name="package">The model.</param>
    /// <param name="runner">Owned by the engine from here on.</param>
    /// <param name="codebook">Hints; null for none. Owned by the engine from here on.</param>
    /// <param name="options">Limits.</param>
    /// <param name="timeProvider">Clock.</param>
    /// <exception cref="ArgumentException">The options are out of range, or the runner does not fit the package.</exception>
    public InferenceEngine(ModelPackage package, IModelRunner runner, ICodebook? codebook, EngineOptions options, TimeProvider timeProvider)
    {
        CheckOptions(options);
        CheckRunner(package, runner);
        Package = package;
        _options = options;
        Codebook = codebook;
        _runner = runner;
        _timeProvider = timeProvider;

        var slotCount = _slotCount = Math.Min(options.MaxSlots, runner.SlotCount);
        _positionCapacity = options.MaxKvPositions > 0 ? options.MaxKvPositions : (long)slotCount * runner.MaxPositions;
        _queue = new RequestQueue(options.MaxQueuedRequests, options.MaxQueuedTokens);
        _departures = new DepartureRate(timeProvider);

        // Bounded by the queue and the slots, whose size may change: every request of theirs comes once and is cancelled at most once.
        _commands = Channel.CreateUnbounded<LoopCommand>(new UnboundedChannelOptions { SingleReader = true });
        _hints = codebook is null ? null : new HintWorker(codebook, OnFault);
        var hintWait = new HintWait(options.HintPatience, timeProvider, OnFault);
        var delivery = new EventDelivery();
        _sequences = new SequenceFactory(package, runner.KvBytesPerPosition, _hints, hintWait, delivery, Telemetry, timeProvider);
        var slots = new SlotMap(runner, slotCount);
        var limits = new SchedulerLimits(_positionCapacity, options.PrefillChunk, options.PrefillShare);
        var scheduler = new Scheduler(_queue, slots, CreatePrefixCache(runner, options), _departures, limits, package.Vocabulary.ThinkId);
        _loop = new StepLoop(_commands.Reader, scheduler, runner, delivery, OnFault, options.ChecksEveryStep, Telemetry, timeProvider);
        new Thread(RunThread) { IsBackground = true, Name = "tessera-engine" }.Start();
    }

    /// <summary>Something failed that the engine lived through, or that ended it: a step, the warm-up, the codebook. For logging; raised on engine threads.</summary>
    public event EventHandler<EngineFaultEventArgs>? Faulted;

    /// <summary>The model.</summary>
    public ModelPackage Package { get; }

    /// <summary>The limits of now.</summary>
    public EngineOptions Options => _options;

    /// <summary>The codebook, for direct use; null for none.</summary>
    public ICodebook? Codebook { get; }

    /// <summary>What the engine measures as it happens.</summary>
    public EngineMeter Telemetry { get; } = new();

    /// <summary>What ended the engine's thread, such as a failed warm-up; null otherwise. For whoever runs the server, never for a client.</summary>
    public Exception? Failure => _endedBy;

    /// <summary>Bytes of keys and values that one position takes.</summary>
    public long KvBytesPerPosition => _runner.KvBytesPerPosition;

    private EngineState State
    {
        get
        {
            lock (_stateLock)
            {
                return _state;
            }
        }
    }

    /// <summary>Loads the package's graphs into ONNX Runtime and starts an engine on them.</summary>
    /// <exception cref="ModelPackageException">A graph does not match the manifest.</exception>
    /// <exception cref="ArgumentException">The options are out of range.</exception>
    public static InferenceEngine Start(ModelPackage package, EngineOptions options, TimeProvider timeProvider)
    {
        CheckOptions(options);
        var runner = OnnxModels.Load(package, options, out var codebook);
        try
        {
            return new InferenceEngine(package, runner, codebook, options, timeProvider);
        }
        catch
        {
            codebook?.Dispose();
            runner.Dispose();
            throw;
        }
    }

    /// <summary>Changes the limits that can change while the engine runs; requests that were taken before keep what they have.</summary>
    /// <param name="changed">Of these, the limits of the queue and of requests; everything else stays.</param>
    /// <exception cref="ArgumentException">A limit is out of range; nothing has changed.</exception>
    public void SetLimits(EngineOptions changed)
    {
        CheckOptions(changed);
        _options = _options.WithLimitsOf(changed);
        _queue.SetBounds(_options.MaxQueuedRequests, _options.MaxQueuedTokens);
    }

    /// <summary>Completes when the engine is ready, or will never be: the state says which.</summary>
    public async Task<EngineState> WaitUntilStartedAsync(CancellationToken cancellationToken = default)
    {
        await _started.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        return State;
    }

    /// <summary>When a new request should come again; null while the queue has room.</summary>
    public TimeSpan? QueueFullRetryAfter => _queue.IsFull ? _departures.RetryAfter(_queue.Count) : null;

    /// <summary>Reserves places in the queue, all or none, for requests that are still being read.</summary>
    /// <param name="promptTokens">Most tokens that their prompts can have together.</param>
    /// <param name="place">The places; dispose of it whether or not the requests are submitted with it.</param>
    /// <param name="requests">How many requests will be submitted with it.</param>
    /// <returns>Null when there is room.</returns>
    public SubmitResult.Full? TryReserve(int promptTokens, out QueuePlace? place, int requests = 1)
    {
        place = _queue.TryReserve(promptTokens, requests) ? new QueuePlace(_queue, promptTokens, requests) : null;
        return place is null ? new SubmitResult.Full(_departures.RetryAfter(_queue.Count)) : null;
    }

    /// <summary>Submits a request; never blocks.</summary>
    /// <param name="request">The request.</param>
    /// <param name="place">A place that was reserved for it; null = one is reserved now.</param>
    /// <exception cref="ArgumentException">The request was checked against other limits and can never fit here.</exception>
    public SubmitResult Submit(GenerationRequest request, QueuePlace? place = null)
    {
        if (request.WorstCasePositions > _runner.MaxPositions || (long)request.N * request.WorstCasePositions > _positionCapacity || request.N > _slotCount)
        {
            throw new ArgumentException(
                $"the request may take {request.N} slots of {_slotCount} and {request.WorstCasePositions} positions in each, of {_runner.MaxPositions} in a slot and "
                + $"{_positionCapacity} in all",
                nameof(request));
        }

        if (State is not (EngineState.Starting or EngineState.Ready))
        {
            return new SubmitResult.Draining();
        }

        if (!(place?.TryUse(request.PromptPositions) ?? _queue.TryReserve(request.PromptPositions)))
        {
            return new SubmitResult.Full(_departures.RetryAfter(_queue.Count));
        }

        var sequences = _sequences.Create(request, _live.Remove);
        var response = sequences[0].Response;
        if (!_live.TryAdd(sequences) || !_commands.Writer.TryWrite(new LoopCommand(sequences, IsCancel: false)))
        {
            _live.Remove(response);
            _queue.Unreserve(request.PromptPositions);
            return new SubmitResult.Draining();
        }

        return new SubmitResult.Accepted(new Generation(request, response.Reader, response.WhenFinished, () => Cancel(sequences)));
    }

    /// <summary>What the engine is doing; safe from any thread.</summary>
    public EngineStatus GetStatus()
    {
        var progress = _loop.Progress;
        var bytes = _runner.KvBytesPerPosition;
        var sinceProgress = progress.IsIdle ? TimeSpan.Zero : _timeProvider.GetElapsedTime(progress.Timestamp);
        return new EngineStatus(
            State, progress.RunningCount, _queue.Count, progress.PositionsInUse, progress.PositionsInUse * bytes, progress.PositionsPeak * bytes,
            _positionCapacity, progress.StepCount, sinceProgress)
        {
            WaitingTokens = _queue.TokenCount,
            KvBytesResident = (progress.PositionsInUse + progress.PositionsKept) * bytes,
            PrefixCacheQueriedTokens = progress.PrefixTokens.Queried,
            PrefixCacheHitTokens = progress.PrefixTokens.Hit,
            PreemptionCount = progress.PreemptionCount,
            DeviceBytes = _runner.DeviceBytes,
        };
    }

    /// <summary>Takes no more requests, lets the running ones finish within the time, then ends the rest with <see cref="FinishReason.Shutdown"/>.</summary>
    public async Task DrainAsync(TimeSpan timeout)
    {
        Enter(EngineState.Draining);
        _live.Close();
        try
        {
            await _live.WhenClosedAndEmpty.WaitAsync(timeout, _timeProvider).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // The rest is ended below.
        }

        await StopAsync().ConfigureAwait(false);
    }

    /// <summary>Ends all requests with <see cref="FinishReason.Shutdown"/> and stops the thread.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) != 0)
        {
            await _threadEnded.Task.ConfigureAwait(false);
            return;
        }

        Enter(EngineState.Draining);
        _live.Close();
        var hasStopped = await StopAsync().ConfigureAwait(false);

        // Whoever hangs in the runtime still uses it: then its memory goes with the process.
        if (_hints is null || await _hints.StopAsync(Options.StopPatience).ConfigureAwait(false))
        {
            Codebook?.Dispose();
        }

        Telemetry.Dispose();
        if (hasStopped)
        {
            _runner.Dispose();
        }
    }

    private static void CheckOptions(EngineOptions options)
    {
        var problems = options.FindProblems();
        if (problems.Count > 0)
        {
            throw new ArgumentException(string.Join("; ", problems), nameof(options));
        }
    }

    private static void CheckRunner(ModelPackage package, IModelRunner runner)
    {
        if (runner.VocabularySize != package.Vocabulary.Size)
        {
            throw new ArgumentException(
                $"the runner gives {runner.VocabularySize} logits, the package's vocabulary has {package.Vocabulary.Size} ids", nameof(runner));
        }
    }

    private static PrefixCache CreatePrefixCache(IModelRunner runner, EngineOptions options)
    {
        // Without slots to keep prompts in, running sequences still share theirs.
        var maxPositions = options.PrefixCacheMiB * 1024L * 1024 / Math.Max(1, runner.KvBytesPerPosition);
        return new PrefixCache(runner, runner.SlotCount, Math.Min(options.PrefixCacheEntries, runner.CacheSlotCount), maxPositions, options.PrefixCacheEntries > 0);
    }

    private void RunThread()
    {
        var hasStopped = false;
        try
        {
            _loop.WarmUp(Package.Vocabulary.ThinkId);
            Enter(EngineState.Ready);
            _started.TrySetResult();
            hasStopped = _loop.Run();
        }
        catch (Exception exception)
        {
            // Kept as well: nobody can listen yet when the warm-up fails.
            _endedBy = exception;
            OnFault(exception);
        }

        Enter(hasStopped ? EngineState.Stopped : EngineState.Failed);
        _started.TrySetResult();
        _live.Close();
        _commands.Writer.TryComplete();
        EndAll(hasStopped ? FinishReason.Shutdown : FinishReason.Error);
        _threadEnded.TrySetResult();
    }

    private void EndAll(FinishReason reason)
    {
        try
        {
            _loop.FinishAll(reason);
        }
        catch (Exception exception)
        {
            // Broken bookkeeping must not keep anybody from the last event.
            OnFault(exception);
        }

        _live.FinishAll(reason);
    }

    // Whether the thread has ended; the requests have in any case.
    private async Task<bool> StopAsync()
    {
        _commands.Writer.TryComplete();
        try
        {
            await _threadEnded.Task.WaitAsync(Options.StopPatience).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            _live.FinishAll(FinishReason.Shutdown);
            return false;
        }
    }

    private void Cancel(IReadOnlyList<Sequence> sequences)
    {
        if (sequences[0].Response.RequestCancel())
        {
            // False only when the engine is stopping, which ends the request anyway.
            _commands.Writer.TryWrite(new LoopCommand(sequences, IsCancel: true));
        }
    }

    // The life cycle only goes forward.
    private void Enter(EngineState state)
    {
        lock (_stateLock)
        {
            _state = state > _state ? state : _state;
        }
    }

    private void OnFault(Exception exception)
    {
        try
        {
            Faulted?.Invoke(this, new EngineFaultEventArgs(exception));
        }
        catch (Exception)
        {
            // Whoever listens must not be able to stop the loop.
        }
    }
}
