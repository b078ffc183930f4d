using System.Threading.Channels;
using Tessera.Engine.Execution;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Engine;

/// <summary>Serves one model: one dedicated thread owns slots, KV cache and the step loop; requests come in and events go out through bounded channels.</summary>
public sealed class InferenceEngine : IAsyncDisposable
{
    /// <summary>Creates an engine and starts its thread; it is ready when a warm-up request was answered.</summary>
    /// <param name="package">The model.</param>
    /// <param name="runner">Owned by the engine from here on.</param>
    /// <param name="codebook">Hints; null for none. Owned by the engine from here on.</param>
    /// <param name="options">Limits.</param>
    /// <param name="timeProvider">Clock.</param>
    public InferenceEngine(ModelPackage package, IModelRunner runner, ICodebook? codebook, EngineOptions options, TimeProvider timeProvider)
    {
        Package = package;
        Options = options;
        Codebook = codebook;
        _ = runner;
        _ = timeProvider;
    }

    /// <summary>The model.</summary>
    public ModelPackage Package { get; }

    /// <summary>The limits.</summary>
    public EngineOptions Options { get; }

    /// <summary>The codebook, for direct use; null for none.</summary>
    public ICodebook? Codebook { get; }

    /// <summary>Loads the package's graphs into ONNX Runtime and starts an engine on them.</summary>
    /// <exception cref="ModelPackageException">A graph does not match the manifest.</exception>
    public static InferenceEngine Start(ModelPackage package, EngineOptions options, TimeProvider timeProvider) => throw new NotImplementedException();

    /// <summary>Submits a request; never blocks.</summary>
    public SubmitResult Submit(GenerationRequest request) => throw new NotImplementedException();

    /// <summary>What the engine is doing; safe from any thread.</summary>
    public EngineStatus GetStatus() => throw new NotImplementedException();

    /// <summary>Takes no more requests, lets the running ones finish within the time, then ends the rest with <see cref="FinishReason.Shutdown"/>.</summary>
    public Task DrainAsync(TimeSpan timeout) => throw new NotImplementedException();

    /// <summary>Ends all requests with <see cref="FinishReason.Shutdown"/> and stops the thread.</summary>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}

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

    internal Generation(GenerationRequest request, ChannelReader<GenerationEvent> events, Action cancel)
    {
        Request = request;
        Events = events;
        _cancel = cancel;
    }

    /// <summary>The request.</summary>
    public GenerationRequest Request { get; }

    /// <summary>Events to read; completes after exactly one <see cref="FinishedEvent"/>. Has room for every event of the request, so the loop never waits.</summary>
    public ChannelReader<GenerationEvent> Events { get; }

    /// <summary>Asks for cancellation; handled between steps; a Finished event still comes. May be called at any time, any number of times.</summary>
    public void Cancel() => _cancel();
}

/// <summary>What the engine is doing.</summary>
/// <param name="State">Life cycle.</param>
/// <param name="RunningCount">Requests with a slot.</param>
/// <param name="WaitingCount">Requests in the queue.</param>
/// <param name="KvPositionsInUse">Positions in use over all slots.</param>
/// <param name="KvBytesInUse">Bytes of those positions.</param>
/// <param name="KvBytesPeak">Most bytes in use since the start.</param>
/// <param name="KvPositionsCapacity">Positions that may be in use.</param>
/// <param name="StepCount">Steps since the start.</param>
/// <param name="SinceLastProgress">Time since the loop last finished a step or was idle: the heartbeat behind health.</param>
public sealed record EngineStatus(
    EngineState State, int RunningCount, int WaitingCount, long KvPositionsInUse, long KvBytesInUse, long KvBytesPeak, long KvPositionsCapacity, long StepCount, TimeSpan SinceLastProgress);

/// <summary>Life cycle of an engine.</summary>
public enum EngineState
{
    /// <summary>Warming up.</summary>
    Starting,

    /// <summary>Takes requests.</summary>
    Ready,

    /// <summary>Finishes what it has.</summary>
    Draining,

    /// <summary>The thread has ended.</summary>
    Stopped,

    /// <summary>The runtime failed; only a restart helps.</summary>
    Failed,
}
