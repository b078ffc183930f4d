using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Comparison;

/// <summary>Why a comparison ended.</summary>
public enum CompareEnd
{
    /// <summary>Every prompt ran in both modes.</summary>
    Completed,

    /// <summary>The user ended it.</summary>
    Interrupted,

    /// <summary>The server stopped answering.</summary>
    ServerUnreachable,
}

/// <summary>One prompt in one mode.</summary>
/// <param name="Outcome">What the server did.</param>
/// <param name="IsCorrect">Whether the answer is right; a request that did not succeed is wrong.</param>
public sealed record MeasuredRequest(RequestOutcome Outcome, bool IsCorrect);

/// <summary>One prompt in both modes; a mode that did not run, or was interrupted, is null.</summary>
/// <param name="Case">The problem.</param>
/// <param name="Text">Text mode.</param>
/// <param name="Latent">Latent mode.</param>
public sealed record PromptPair(PromptCase Case, MeasuredRequest? Text, MeasuredRequest? Latent)
{
    /// <summary>The run in a mode.</summary>
    public MeasuredRequest? this[ReasoningMode mode] => mode == ReasoningMode.Text ? Text : Latent;

    /// <summary>Whether both modes came to their end.</summary>
    public bool BothSucceeded => Text?.Outcome.Kind == OutcomeKind.Succeeded && Latent?.Outcome.Kind == OutcomeKind.Succeeded;

    /// <summary>Whether both also have believable counts.</summary>
    public bool BothCounted => BothSucceeded && Text!.Outcome.Usage is not null && Latent!.Outcome.Usage is not null;
}

/// <summary>What was measured of one phase as a whole.</summary>
/// <param name="Phase">The phase.</param>
/// <param name="Duration">From its first request's start to its last one's end.</param>
/// <param name="KvBytesInUse">Samples of the KV cache's fill.</param>
/// <param name="Outcomes">Outcomes in the order of the prompts; null for those that did not run.</param>
public sealed record PhaseResult(Phase Phase, TimeSpan Duration, IReadOnlyList<long> KvBytesInUse, IReadOnlyList<RequestOutcome?> Outcomes);

/// <summary>All that a comparison measured.</summary>
/// <param name="End">Why it ended.</param>
/// <param name="Pairs">Prompts that were to run, in run order.</param>
/// <param name="Phases">Phases that ran, in run order.</param>
/// <param name="KvBytesPeak">Most KV bytes in use since the server started, read after the run; null when the server does not tell.</param>
public sealed record CompareResult(CompareEnd End, IReadOnlyList<PromptPair> Pairs, IReadOnlyList<PhaseResult> Phases, long? KvBytesPeak)
{
    /// <summary>Requests of a mode that the user's interruption cut off.</summary>
    public int InterruptedCount(ReasoningMode mode) =>
        Phases.Where(phase => phase.Phase.Mode == mode).SelectMany(phase => phase.Outcomes).Count(outcome => outcome?.Kind == OutcomeKind.Interrupted);
}
