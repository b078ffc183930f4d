using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Exporter.Verification;

/// <summary>Runs the decoder in every way in which the engine runs it, and compares its logits with the reference.</summary>
/// <param name="runner">The decoder; its slots are free.</param>
/// <param name="cases">The reference.</param>
/// <param name="tolerance">What passes.</param>
internal sealed class DecoderVerifier(IModelRunner runner, IReadOnlyList<ReferenceCase> cases, Tolerance tolerance)
{
    // Whole prefills cost one run per row, so that a few rows stand for all.
    private const int WholePrefillRows = 6;
    private const int MixedChunk = 16;

    private static readonly int[] ChunkSizes = [2, 7, 32, 100];

    /// <summary>Slots that <see cref="Verify"/> uses.</summary>
    public static int SlotsFor(int caseCount) => Math.Max(2, Math.Min(8, 2 * caseCount));

    /// <summary>All comparisons.</summary>
    public IEnumerable<VerificationRow> Verify()
    {
        yield return Measure("whole prefill", WholePrefill);
        foreach (var size in ChunkSizes)
        {
            yield return Measure($"prefill in chunks of {size}", (reference, meter) => ChunkedPrefill(reference, meter, size));
        }

        yield return Measure("decode token by token", DecodeOneByOne);
        var together = new DifferenceMeter();
        PromptsTogether(together);
        if (together.RowCount > 0)
        {
            yield return together.ToRow(ModelPackage.DecoderFileName, "two prompts of different lengths together", tolerance);
        }

        var mixed = new DifferenceMeter();
        new MixedRun(runner, cases, SlotsFor(cases.Count), MixedChunk, mixed).Run();
        yield return mixed.ToRow(ModelPackage.DecoderFileName, "ragged batch, prefill beside decode", tolerance);
    }

    private VerificationRow Measure(string check, Action<ReferenceCase, DifferenceMeter> run)
    {
        var meter = new DifferenceMeter();
        foreach (var reference in cases)
        {
            run(reference, meter);
            runner.ReleaseSlot(0);
        }

        return meter.ToRow(ModelPackage.DecoderFileName, check, tolerance);
    }

    private void WholePrefill(ReferenceCase reference, DifferenceMeter meter)
    {
        var count = Math.Min(WholePrefillRows, reference.Rows.Length);
        for (var i = 1; i <= count; i++)
        {
            var position = reference.Rows[(i * reference.Rows.Length / count) - 1];
            meter.Add(reference.LogitsAt(position), Prefill(reference, 0, position + 1, wantsLogits: true));
        }
    }

    /// <summary>Pairs of prompts that end at recorded rows, padded in one call to the longer.</summary>
    private void PromptsTogether(DifferenceMeter meter)
    {
        // What is padded counts: the pair has room for as many positions as one sequence may have.
        var prompts = cases.SelectMany(reference => reference.Rows.Select(row => (Reference: reference, Position: row)))
            .Where(prompt => 2L * (prompt.Position + 1) <= runner.MaxPositions)
            .ToList();
        for (var i = 0; i < Math.Min(WholePrefillRows, prompts.Count); i++)
        {
            (ReferenceCase Reference, int Position)[] pair = [prompts[i], prompts[^(i + 1)]];
            var slices = pair.Select((prompt, slot) => new SequenceSlice(slot, prompt.Reference.Ids, 0, prompt.Position + 1, WantsLogits: true));
            var logits = runner.Run(new StepPlan([], null) { Prompts = [.. slices] });
            for (var slot = 0; slot < pair.Length; slot++)
            {
                meter.Add(pair[slot].Reference.LogitsAt(pair[slot].Position), logits.Slice(slot * runner.VocabularySize, runner.VocabularySize));
                runner.ReleaseSlot(slot);
            }
        }
    }

    private void ChunkedPrefill(ReferenceCase reference, DifferenceMeter meter, int size)
    {
        for (var start = 0; start < reference.Ids.Length; start += size)
        {
            var count = Math.Min(size, reference.Ids.Length - start);
            var expected = reference.LogitsAt(start + count - 1);
            var logits = Prefill(reference, start, count, wantsLogits: expected.Length > 0);
            if (expected.Length > 0)
            {
                meter.Add(expected, logits);
            }
        }
    }

    private void DecodeOneByOne(ReferenceCase reference, DifferenceMeter meter)
    {
        for (var position = 0; position < reference.Ids.Length; position++)
        {
            var logits = runner.Run(new StepPlan([new SequenceSlice(0, reference.Ids, position, 1, WantsLogits: true)], null));
            var expected = reference.LogitsAt(position);
            if (expected.Length > 0)
            {
                meter.Add(expected, logits);
            }
        }
    }

    private ReadOnlySpan<float> Prefill(ReferenceCase reference, int start, int count, bool wantsLogits) =>
        runner.Run(new StepPlan([], new SequenceSlice(0, reference.Ids, start, count, wantsLogits)));
}
