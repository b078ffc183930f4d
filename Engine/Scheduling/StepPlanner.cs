using Tessera.Engine.Execution;

namespace Tessera.Engine.Scheduling;

/// <summary>One step: what the runner runs, and whose next token each row of logits is. Valid until the next step is planned.</summary>
/// <param name="Plan">For the runner.</param>
/// <param name="Rows">Sequences that get a token, with their row of logits; responses to one prompt share a row.</param>
/// <param name="HasLongPrompt">Whether it runs a chunk of a prompt that is too long for one step.</param>
internal readonly record struct ScheduledStep(StepPlan Plan, IReadOnlyList<ScheduledRow> Rows, bool HasLongPrompt);

/// <summary>A sequence that gets a token.</summary>
/// <param name="Sequence">The sequence.</param>
/// <param name="LogitsRow">Its row of logits.</param>
internal readonly record struct ScheduledRow(Sequence Sequence, int LogitsRow);

/// <summary>Writes down what a step runs. The lists are those of every step, so that a step in which sequences only decode allocates nothing.</summary>
/// <param name="slots">Who has which slot.</param>
/// <param name="prefillChunk">Positions of prompts in one step, padding included.</param>
internal sealed class StepPlanner(SlotMap slots, int prefillChunk)
{
    private readonly List<SequenceSlice> _decode = [];
    private readonly List<SequenceSlice> _prompts = [];
    private readonly List<ScheduledRow> _rows = [];
    private StepPlan? _decodePlan;

    /// <summary>
    /// Plans the next step: one position of every decoding sequence, the whole prompts that were admitted, and a chunk of the one that takes several steps.
    /// </summary>
    /// <param name="runsLongPrompt">Whether a prompt that is too long for one step may get on in this one.</param>
    public ScheduledStep Plan(bool runsLongPrompt)
    {
        _rows.Clear();
        PlanDecode();
        PlanPrompts();
        _decodePlan ??= new StepPlan(_decode, null) { Prompts = _prompts };
        if (slots.Prefilling is not { } prefilling || (StepPolicy.IsLong(prefilling.PromptCount, prefilling.CopiedCount, prefillChunk) && !runsLongPrompt))
        {
            return new ScheduledStep(_decodePlan, _rows, HasLongPrompt: false);
        }

        var chunk = PlanChunk(prefilling);
        if (chunk.WantsLogits)
        {
            AddRows(prefilling, _decode.Count + _prompts.Count);
        }

        return new ScheduledStep(_decodePlan with { Prefill = chunk }, _rows, StepPolicy.IsLong(prefilling.PromptCount, prefilling.CopiedCount, prefillChunk));
    }

    private void PlanDecode()
    {
        _decode.Clear();
        for (var slot = 0; slot < slots.Decoding.Count; slot++)
        {
            var sequence = slots.Decoding[slot];
            _decode.Add(new SequenceSlice(slot, sequence.Ids, sequence.ComputedCount, 1, WantsLogits: true));

            // A sequence with forced tokens behind its last sampled one, or that is run again, catches up in steps that are made anyway, and samples when it has.
            if (sequence.PendingCount == 1)
            {
                _rows.Add(new ScheduledRow(sequence, slot));
            }
        }
    }

    private void PlanPrompts()
    {
        _prompts.Clear();
        for (var i = 0; i < slots.Prompts.Count; i++)
        {
            var sequence = slots.Prompts[i];
            _prompts.Add(new SequenceSlice(sequence.Slot, sequence.Ids, 0, sequence.PromptCount, WantsLogits: true));
            AddRows(sequence, _decode.Count + i);
        }
    }

    private SequenceSlice PlanChunk(Sequence sequence)
    {
        var longest = 0;
        foreach (var prompt in _prompts)
        {
            longest = Math.Max(longest, prompt.Count);
        }

        var count = StepPolicy.PrefillCount(sequence.ComputedCount, sequence.PromptCount, prefillChunk - (_prompts.Count * longest));
        var wantsLogits = sequence.ComputedCount + count == sequence.Ids.Length;
        return new SequenceSlice(sequence.Slot, sequence.Ids, sequence.ComputedCount, count, wantsLogits);
    }

    // One that is run again has its next tokens already.
    private void AddRows(Sequence sequence, int logitsRow)
    {
        if (sequence.Ids.Length > sequence.PromptCount)
        {
            return;
        }

        _rows.Add(new ScheduledRow(sequence, logitsRow));
        foreach (var follower in sequence.Followers)
        {
            _rows.Add(new ScheduledRow(follower, logitsRow));
        }
    }
}
