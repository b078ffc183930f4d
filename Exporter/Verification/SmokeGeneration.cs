using System.Numerics.Tensors;
using Tessera.Engine.Execution;
using Tessera.Models;

namespace Tessera.Exporter.Verification;

/// <summary>What a verification found.</summary>
/// <param name="Rows">Every comparison.</param>
/// <param name="Sample">What the model said greedily, special tokens included.</param>
internal sealed record VerificationReport(IReadOnlyList<VerificationRow> Rows, string Sample);

/// <summary>Lets a model go on from a recorded prompt, always with the likeliest token: alone, and again beside another sequence.</summary>
/// <param name="package">The model.</param>
/// <param name="runner">Its decoder; at least two slots, all free.</param>
internal sealed class SmokeGeneration(ModelPackage package, IModelRunner runner)
{
    private const int Tokens = 24;
    private const int PromptTokens = 48;

    /// <summary>Generates; passes when every logit is a number and a neighbour in the batch changes nothing but roundings.</summary>
    public (VerificationRow Row, string Text) Run(ReferenceCase reference)
    {
        var count = Math.Min(Tokens, runner.MaxPositions - 1);
        var ids = new List<int>(reference.Ids[..Math.Min(reference.Ids.Length, Math.Min(PromptTokens, runner.MaxPositions - count))]);
        var prompt = ids.Count;
        var alone = new List<float[]>();
        Prefill(0, ids);
        while (alone.Count < count)
        {
            alone.Add(Decode(ids, rows: 1));
            ids.Add(TensorPrimitives.IndexOfMax<float>(alone[^1]));
        }

        runner.ReleaseSlot(0);
        var meter = new DifferenceMeter();
        Prefill(0, ids[..prompt]);
        Prefill(1, ids[..prompt]);
        for (var i = 0; i < count; i++)
        {
            meter.Add(alone[i], Decode(ids[..(prompt + i)], rows: 2));
        }

        runner.ReleaseSlot(0);
        runner.ReleaseSlot(1);
        var text = package.Tokenizer.Decode([.. ids[prompt..].Where(id => id < package.Tokenizer.VocabularySize)], skipSpecial: false);
        var tolerance = Tolerance.Of(package.Manifest.Precision) is { IsRelative: false } exact ? exact : new Tolerance(0.02, IsRelative: true);
        return (meter.ToRow(ModelPackage.DecoderFileName, "greedy generation, batched against alone", tolerance), text);
    }

    /// <summary>Runs all ids but the last one, which decoding runs.</summary>
    private void Prefill(int slot, List<int> ids)
    {
        if (ids.Count > 1)
        {
            runner.Run(new StepPlan([], new SequenceSlice(slot, ids.ToArray(), 0, ids.Count - 1, WantsLogits: false)));
        }
    }

    /// <summary>Logits after the last id, of the first row.</summary>
    private float[] Decode(List<int> ids, int rows)
    {
        var all = ids.ToArray();
        var slices = Enumerable.Range(0, rows).Select(row => new SequenceSlice(row, all, all.Length - 1, 1, WantsLogits: true));
        return runner.Run(new StepPlan([.. slices], null))[..runner.VocabularySize].ToArray();
    }
}
