using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Testing;

namespace Tessera.Models.Tests;

/// <summary>The tests' own package is what it says: it runs, and greedy decoding follows its table.</summary>
public sealed class TinyPackageTests : PackageTestBase
{
    [Fact]
    public void Run_TinyPackage_FollowsItsSuccessors()
    {
        var package = Builder.Load(PackageFolder);
        using var runner = OnnxModels.Load(package, new EngineOptions { MaxSlots = 1, Threads = 1 }, out var codebook);
        codebook?.Dispose();
        var ids = PackageBuilder.Ids(" Tom", ".", "<think>").ToList();

        for (var start = 0; ids[^1] != package.Vocabulary.EosId; start = ids.Count - 1)
        {
            var slice = new SequenceSlice(0, ids.ToArray(), start, ids.Count - start, WantsLogits: true);
            var logits = runner.Run(start == 0 ? new StepPlan([], slice) : new StepPlan([slice], null));
            ids.Add(IndexOfLargest(logits));
        }

        Assert.Equal(
            PackageBuilder.Ids(
                " Tom", ".", "<think>", "<boLatent>", "<latent_0>", "<latent_1>", "<eoLatent>", " Every", " wump", "us.", "</think>", " True", "<eos>"),
            ids);
    }

    [Fact]
    public void Codebook_TinyPackage_ReadsItsHintsAndFirstTokens()
    {
        var package = Builder.Load(PackageFolder);
        using var runner = OnnxModels.Load(package, new EngineOptions { MaxSlots = 1, Threads = 1 }, out var codebook);
        using var disposed = codebook;

        var hints = codebook!.Decode([0, 3], PackageBuilder.Ids(" Tom", "."));
        var codes = codebook.Encode([PackageBuilder.Ids(" Tom", "."), PackageBuilder.Ids(".")], PackageBuilder.Ids(" Tom"));

        Assert.Equal(["Tom is a lempus.", "yes"], hints.Select(hint => hint.Text));
        Assert.Equal([TinyTokenizer.IdOf(" Tom") % 4, TinyTokenizer.IdOf(".") % 4], codes);
    }

    private static int IndexOfLargest(ReadOnlySpan<float> logits)
    {
        var largest = 0;
        for (var i = 1; i < logits.Length; i++)
            largest = logits[i] > logits[largest] ? i : largest;
        return largest;
    }
}
