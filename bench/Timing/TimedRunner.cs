using System.Diagnostics;
using Tessera.Engine.Execution;

namespace Tessera.Bench.Timing;

/// <summary>Notes how much of the time from one decode step to the next the model call takes; prompts are left out.</summary>
internal sealed class TimedRunner(IModelRunner runner) : IModelRunner
{
    private long _lastEnd;
    private long _inside;
    private long _outside;
    private int _steps;

    /// <inheritdoc/>
    public int VocabularySize => runner.VocabularySize;

    /// <inheritdoc/>
    public int SlotCount => runner.SlotCount;

    /// <inheritdoc/>
    public int CacheSlotCount => runner.CacheSlotCount;

    /// <inheritdoc/>
    public int MaxPositions => runner.MaxPositions;

    /// <inheritdoc/>
    public long KvBytesPerPosition => runner.KvBytesPerPosition;

    /// <inheritdoc/>
    public long? DeviceBytes => runner.DeviceBytes;

    /// <summary>Decode rows that count; others are passed on and not timed.</summary>
    public int Rows { get; set; }

    /// <inheritdoc/>
    public void Prepare() => runner.Prepare();

    /// <inheritdoc/>
    public ReadOnlySpan<float> Run(StepPlan plan)
    {
        var counts = plan.Decode.Count == Rows && plan.Prompts.Count == 0 && plan.Prefill is null;
        var start = Stopwatch.GetTimestamp();
        var logits = runner.Run(plan);
        var end = Stopwatch.GetTimestamp();
        if (counts && _lastEnd != 0)
        {
            _inside += end - start;
            _outside += start - _lastEnd;
            _steps++;
        }

        _lastEnd = counts ? end : 0;
        return logits;
    }

    /// <summary>Microseconds per step in the model call and outside of it, since the last call of this.</summary>
    public (double Inside, double Outside) TakeTimes()
    {
        var perStep = 1e6 / Stopwatch.Frequency / Math.Max(1, _steps);
        var times = (_inside * perStep, _outside * perStep);
        (_inside, _outside, _steps) = (0, 0, 0);
        return times;
    }

    /// <inheritdoc/>
    public void MoveSlot(int from, int to, int positionCount) => runner.MoveSlot(from, to, positionCount);

    /// <inheritdoc/>
    public void ExpectPositions(int slot, int positionCount) => runner.ExpectPositions(slot, positionCount);

    /// <inheritdoc/>
    public void ReleaseSlot(int slot) => runner.ReleaseSlot(slot);

    /// <inheritdoc/>
    public void Dispose() => runner.Dispose();
}
