namespace Tessera.Engine.Scheduling;

/// <summary>What steps took lately.</summary>
/// <param name="Chunk">The last step with a chunk of a long prompt, all else in it included.</param>
/// <param name="Others">All steps since.</param>
/// <param name="OtherSteps">How many those are.</param>
internal readonly record struct StepTimes(TimeSpan Chunk, TimeSpan Others, int OtherSteps);

/// <summary>
/// Keeps count of the time that long prompts take from the sequences that decode. Time decides only when a chunk runs, never how large it is: tokens do not depend
/// on it.
/// </summary>
/// <param name="share">Least part of the time for long prompts while sequences decode, above 0; 1 = all of it.</param>
internal sealed class PrefillShare(double share)
{
    private StepTimes _times;

    /// <summary>Whether a chunk may run in the next step.</summary>
    public bool MayRunChunk(int decodingCount, int waitingCount) => StepPolicy.MayRunChunk(_times, decodingCount, waitingCount, share);

    /// <summary>Notes what a step took.</summary>
    public void Note(bool hasChunk, TimeSpan time) =>
        _times = hasChunk ? new StepTimes(time, TimeSpan.Zero, 0) : _times with { Others = _times.Others + time, OtherSteps = _times.OtherSteps + 1 };
}
