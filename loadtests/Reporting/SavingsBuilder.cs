using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>Savings measured by running the same prompt in both arms: baseline minus arm, so a loss is negative. None is the server's estimate.</summary>
internal static class SavingsBuilder
{
    public const string Basis = "measured_pair";

    public static SavingsReport Build(IEnumerable<ArmPair> pairs, long? kvBytesPerPosition, int seed)
    {
        var counted = pairs.Where(pair => pair.BothCounted).Select(pair => (Baseline: pair.Baseline!.Outcome, Arm: pair.Arm!.Outcome)).ToArray();
        double[] Each(Func<RequestOutcome, double> value) => Array.ConvertAll(counted, pair => value(pair.Baseline) - value(pair.Arm));

        var tokens = Each(outcome => outcome.Usage!.Completion);
        var baseline = Array.ConvertAll(counted, pair => (double)pair.Baseline.Usage!.Completion);
        double Fraction(int[] indices) => indices.Sum(i => tokens[i]) / indices.Sum(i => baseline[i]);
        var fraction = counted.Length == 0
            ? new MeanEstimate(null, null, null)
            : MeanEstimate.WithInterval(Fraction([.. Enumerable.Range(0, counted.Length)]), Bootstrap.Estimate(counted.Length, Fraction, seed));
        return new SavingsReport(
            Basis,
            counted.Length,
            counted.Length == 0 ? null : counted.Average(pair => pair.Arm.Usage!.Latent),
            counted.Length == 0 ? null : Each(outcome => outcome.Usage!.ReasoningText).Average(),
            MeanEstimate.Of(tokens, seed),
            fraction,
            MeanEstimate.Of(tokens, seed), // Every generated token, latents included, costs one step.
            MeanEstimate.Of(Each(outcome => outcome.EndToEnd.TotalSeconds), seed),
            MeanEstimate.Of(kvBytesPerPosition is { } bytes ? Each(outcome => (double)outcome.Usage!.KvPositions * bytes) : [], seed));
    }

    public static PromptSavingsReport? Build(ArmPair pair, long? kvBytesPerPosition)
    {
        if (!pair.BothCounted)
        {
            return null;
        }

        var (baseline, arm) = (pair.Baseline!.Outcome, pair.Arm!.Outcome);
        return new PromptSavingsReport(
            Basis,
            baseline.Usage!.Completion - arm.Usage!.Completion,
            (baseline.EndToEnd - arm.EndToEnd).TotalSeconds,
            (baseline.Usage.KvPositions - arm.Usage.KvPositions) * kvBytesPerPosition);
    }
}
