using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Comparison;

/// <summary>Why a measurement ended.</summary>
public enum CompareEnd
{
    /// <summary>Every prompt ran in every arm.</summary>
    Completed,

    /// <summary>The user ended it.</summary>
    Interrupted,

    /// <summary>The server stopped answering.</summary>
    ServerUnreachable,
}

/// <summary>One prompt in one arm.</summary>
/// <param name="Outcome">What the server did.</param>
/// <param name="IsCorrect">Whether the answer is right; a request that did not succeed is wrong.</param>
public sealed record MeasuredRequest(RequestOutcome Outcome, bool IsCorrect);

/// <summary>One prompt in all arms.</summary>
/// <param name="Case">The problem.</param>
/// <param name="ByArm">The runs in the order of the arms; null for one that did not run, or was interrupted.</param>
public sealed record PromptRuns(PromptCase Case, IReadOnlyList<MeasuredRequest?> ByArm)
{
    /// <summary>The runs of two arms.</summary>
    public ArmPair Pair(int baseline, int arm) => new(ByArm[baseline], ByArm[arm]);
}

/// <summary>One prompt in the baseline and in the arm that is compared with it.</summary>
/// <param name="Baseline">The baseline's run; null when it did not run.</param>
/// <param name="Arm">The other arm's run; null when it did not run.</param>
public readonly record struct ArmPair(MeasuredRequest? Baseline, MeasuredRequest? Arm)
{
    /// <summary>Whether both ran.</summary>
    public bool BothRan => Baseline is not null && Arm is not null;

    /// <summary>Whether both came to their end.</summary>
    public bool BothSucceeded => Baseline?.Outcome.Kind == OutcomeKind.Succeeded && Arm?.Outcome.Kind == OutcomeKind.Succeeded;

    /// <summary>Whether both also have believable counts.</summary>
    public bool BothCounted => BothSucceeded && Baseline!.Outcome.Usage is not null && Arm!.Outcome.Usage is not null;
}

/// <summary>The server's memory at a moment of a phase.</summary>
/// <param name="At">Since the measurement began.</param>
/// <param name="Memory">What the server told.</param>
public sealed record MemorySample(TimeSpan At, ServerMemory Memory);

/// <summary>What was measured of one phase as a whole.</summary>
/// <param name="Phase">The phase.</param>
/// <param name="Start">Timestamp of its start.</param>
/// <param name="StartedAt">Its start since the measurement began.</param>
/// <param name="Duration">From its start to its last request's end.</param>
/// <param name="Memory">Samples of the server's memory.</param>
/// <param name="Outcomes">Outcomes in the order of the prompts; null for those that did not run.</param>
public sealed record PhaseResult(
    Phase Phase, long Start, TimeSpan StartedAt, TimeSpan Duration, IReadOnlyList<MemorySample> Memory, IReadOnlyList<RequestOutcome?> Outcomes)
{
    /// <summary>Outcomes of requests that were not cut off by the user.</summary>
    public IEnumerable<RequestOutcome> Attempted => Outcomes.OfType<RequestOutcome>().Where(outcome => outcome.Kind != OutcomeKind.Interrupted);

    /// <summary>Outcomes of requests that came to their end.</summary>
    public IEnumerable<RequestOutcome> Succeeded => Outcomes.OfType<RequestOutcome>().Where(outcome => outcome.Kind == OutcomeKind.Succeeded);
}

/// <summary>All that was measured at one load.</summary>
/// <param name="End">Why it ended.</param>
/// <param name="Arms">The arms.</param>
/// <param name="Prompts">Prompts that were to run, in run order.</param>
/// <param name="Phases">Phases that ran, in run order.</param>
/// <param name="KvBytesPeak">Most KV bytes in use since the server started, read after the run; null when the server does not tell.</param>
public sealed record CompareResult(
    CompareEnd End, IReadOnlyList<Arm> Arms, IReadOnlyList<PromptRuns> Prompts, IReadOnlyList<PhaseResult> Phases, long? KvBytesPeak)
{
    /// <summary>Phases of an arm.</summary>
    public IEnumerable<PhaseResult> PhasesOf(int arm) => Phases.Where(phase => phase.Phase.Arm == arm);

    /// <summary>Runs of an arm.</summary>
    public IEnumerable<MeasuredRequest> RunsOf(int arm) => Prompts.Select(prompt => prompt.ByArm[arm]).OfType<MeasuredRequest>();

    /// <summary>Requests of an arm that the user's interruption cut off.</summary>
    public int InterruptedCount(int arm) => PhasesOf(arm).SelectMany(phase => phase.Outcomes).Count(outcome => outcome?.Kind == OutcomeKind.Interrupted);
}
