namespace Tessera.Engine.Scheduling;

/// <summary>What steps took lately.</summary>
/// <param name="Prompts">The last step with prompts, the decode rows in it included.</param>
/// <param name="Decode">All steps since.</param>
/// <param name="DecodeSteps">How many those are.</param>
internal readonly record struct StepTimes(TimeSpan Prompts, TimeSpan Decode, int DecodeSteps);

/// <summary>
/// Keeps count of the time that prompts take from the sequences that decode. Time decides only when a part of a prompt runs, never how large it is: tokens do not
/// depend on it.
/// </summary>
/// <param name="share">Least part of the time for prompts while sequences decode, above 0; 1 = all of it.</param>
internal sealed class PrefillShare(double share)
{
    private StepTimes _times;

    /// <summary>Whether prompts may run in the next step.</summary>
    public bool MayRunPrompts(int decodingCount, int waitingCount) => StepPolicy.MayRunPrompts(_times, decodingCount, waitingCount, share);

    /// <summary>Notes what a step took.</summary>
    public void Note(bool hasPrompts, TimeSpan time) =>
        _times = hasPrompts ? new StepTimes(time, TimeSpan.Zero, 0) : _times with { Decode = _times.Decode + time, DecodeSteps = _times.DecodeSteps + 1 };
}
