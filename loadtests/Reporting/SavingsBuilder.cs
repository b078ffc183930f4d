using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Reporting;

/// <summary>Savings measured by running the same prompt in both modes: text minus latent, so a loss is negative. None is the server's estimate.</summary>
internal static class SavingsBuilder
{
    public const string Basis = "measured_pair";

    public static SavingsReport Build(IReadOnlyList<PromptPair> pairs, long? kvBytesPerPosition, int seed)
    {
        var counted = pairs.Where(pair => pair.BothCounted).Select(pair => (Text: pair.Text!.Outcome, Latent: pair.Latent!.Outcome)).ToArray();
        double[] Each(Func<RequestOutcome, double> value) => Array.ConvertAll(counted, pair => value(pair.Text) - value(pair.Latent));

        var tokens = Each(outcome => outcome.Usage!.Completion);
        var baseline = Array.ConvertAll(counted, pair => (double)pair.Text.Usage!.Completion);
        double Fraction(int[] indices) => indices.Sum(i => tokens[i]) / indices.Sum(i => baseline[i]);
        var fraction = counted.Length == 0
            ? new MeanEstimate(null, null, null)
            : MeanEstimate.WithInterval(Fraction([.. Enumerable.Range(0, counted.Length)]), Bootstrap.Estimate(counted.Length, Fraction, seed));
        return new SavingsReport(
            Basis,
            counted.Length,
            counted.Length == 0 ? null : counted.Average(pair => pair.Latent.Usage!.Latent),
            counted.Length == 0 ? null : Each(outcome => outcome.Usage!.ReasoningText).Average(),
            MeanEstimate.Of(tokens, seed),
            fraction,
            MeanEstimate.Of(tokens, seed), // Every generated token, latents included, costs one step.
            MeanEstimate.Of(Each(outcome => outcome.EndToEnd.TotalSeconds), seed),
            MeanEstimate.Of(kvBytesPerPosition is { } bytes ? Each(outcome => (double)outcome.Usage!.KvPositions * bytes) : [], seed));
    }

    public static PairSavingsReport? Build(PromptPair pair, long? kvBytesPerPosition)
    {
        if (!pair.BothCounted)
        {
            return null;
        }

        var (text, latent) = (pair.Text!.Outcome, pair.Latent!.Outcome);
        return new PairSavingsReport(
            Basis,
            text.Usage!.Completion - latent.Usage!.Completion,
            (text.EndToEnd - latent.EndToEnd).TotalSeconds,
            (text.Usage.KvPositions - latent.Usage.KvPositions) * kvBytesPerPosition);
    }
}
