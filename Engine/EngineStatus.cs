namespace Tessera.Engine;

/// <summary>What the engine is doing.</summary>
/// <param name="State">Life cycle.</param>
/// <param name="RunningCount">Responses with a slot, or with a promise of one: a request with n above 1 counts n times.</param>
/// <param name="WaitingCount">Requests in the queue.</param>
/// <param name="KvPositionsInUse">Positions of running sequences over all slots; kept prompts are not among them.</param>
/// <param name="KvBytesInUse">Bytes of those positions.</param>
/// <param name="KvBytesPeak">Most bytes in use since the start.</param>
/// <param name="KvPositionsCapacity">Positions that may be in use.</param>
/// <param name="StepCount">Steps since the start.</param>
/// <param name="SinceLastProgress">Time since the loop last finished a step or was idle: the heartbeat behind health.</param>
public sealed record EngineStatus(
    EngineState State,
    int RunningCount,
    int WaitingCount,
    long KvPositionsInUse,
    long KvBytesInUse,
    long KvBytesPeak,
    long KvPositionsCapacity,
    long StepCount,
    TimeSpan SinceLastProgress)
{
    /// <summary>Prompt tokens for which a cached prefix was looked for.</summary>
    public long PrefixCacheQueriedTokens { get; init; }

    /// <summary>Prompt tokens that were copied instead of computed.</summary>
    public long PrefixCacheHitTokens { get; init; }

    /// <summary>Times a sequence lost its positions to an older one.</summary>
    public long PreemptionCount { get; init; }

    /// <summary>Prompt tokens of the requests in the queue.</summary>
    public long WaitingTokens { get; init; }

    /// <summary>Bytes of keys and values that are kept: positions in use and cached prefixes.</summary>
    public long KvBytesResident { get; init; }

    /// <summary>Bytes of device memory that the engine holds: keys and values, step buffers, weights and workspace; null when the model runs on the CPU.</summary>
    public long? DeviceBytes { get; init; }
}

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

/// <summary>A failure inside the engine.</summary>
/// <param name="exception">What failed; not for clients.</param>
public sealed class EngineFaultEventArgs(Exception exception) : EventArgs
{
    /// <summary>What failed; not for clients.</summary>
    public Exception Exception { get; } = exception;
}
