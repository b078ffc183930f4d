using System.Diagnostics;
using Tessera.Engine;
using Tessera.Engine.Execution;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Weights;
using Tessera.Models;

namespace Tessera.Exporter.Measurement;

/// <summary>What one precision did on this machine.</summary>
/// <param name="Weights">The precision.</param>
/// <param name="Decode">Tokens per second of one sequence.</param>
/// <param name="BatchDecode">Tokens per second of eight sequences together.</param>
/// <param name="Prefill">Prompt tokens per second.</param>
/// <param name="Error">Deviation of the logits from the exact ones, in parts of their own deviation.</param>
internal sealed record PrecisionSpeed(string Weights, double Decode, double BatchDecode, double Prefill, double Error)
{
    /// <summary>One number for all three: their geometric mean.</summary>
    public double Score => Math.Cbrt(Decode * BatchDecode * Prefill);
}

/// <summary>The measurement and what follows from it.</summary>
/// <param name="Choice">The precision to take.</param>
/// <param name="Speeds">What was measured, the exact one first; empty when nothing had to be.</param>
/// <param name="Reason">Why, in a sentence.</param>
internal sealed record PrecisionAdvice(string Choice, IReadOnlyList<PrecisionSpeed> Speeds, string Reason);

/// <summary>
/// Finds the CPU precision that a machine is fast at: runs a sample of the checkpoint itself (a few layers, a short vocabulary) in each precision.
/// </summary>
internal static class PrecisionAdvisor
{
    /// <summary>A faster precision is taken only when it is faster by this factor than a more exact one.</summary>
    public const double WorthIt = 1.15;

    // A precision whose logits are this far off does not work on this machine: processors differ in which kernels the runtime has for them.
    private const double MostError = 0.5;

    // Models that fit in the caches of any machine gain nothing that a user would notice.
    private const long SmallParameters = 4 << 20;
    private const long SampleParameters = 96 << 20;
    private const int SampleVocabulary = 2048;
    private const int SamplePositions = 512;
    private const int Batch = 8;
    private const int PromptTokens = 128;

    private static readonly TimeSpan TimePerMeasure = TimeSpan.FromMilliseconds(400);

    /// <summary>Measures, or says at once where nothing is to be gained.</summary>
    /// <param name="checkpoint">Folder of the checkpoint.</param>
    /// <param name="progress">Gets the stage, what of it is done, and how much there is.</param>
    /// <param name="cancellationToken">Ends it between two precisions.</param>
    public static PrecisionAdvice Advise(string checkpoint, Action<string, int, int> progress, CancellationToken cancellationToken)
    {
        var config = CheckpointConfig.Read(Path.Combine(checkpoint, CheckpointConfig.FileName));
        if (config.ParameterCount < SmallParameters)
        {
            return new PrecisionAdvice("fp32", [], $"the model is small ({config.ParameterCount / 1e6:0.#} million parameters): exact weights cost nothing");
        }

        var candidates = DecoderPrecision.WeightsOf("cpu");
        var speeds = new List<PrecisionSpeed>();
        float[]? exact = null;
        foreach (var weights in candidates)
        {
            cancellationToken.ThrowIfCancellationRequested();
            progress("measure precisions", speeds.Count, candidates.Count);
            var folder = Directory.CreateTempSubdirectory("tessera-sample-");
            try
            {
                speeds.Add(Measure(checkpoint, config, weights, folder.FullName, ref exact));
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }

        progress("measure precisions", candidates.Count, candidates.Count);
        return Choose(speeds);
    }

    /// <summary>The choice among measured precisions, the exact one first and then ever rougher ones.</summary>
    public static PrecisionAdvice Choose(IReadOnlyList<PrecisionSpeed> speeds)
    {
        var best = speeds[0];
        foreach (var speed in speeds.Skip(1))
        {
            if (speed.Error <= MostError && speed.Score > best.Score * WorthIt)
            {
                best = speed;
            }
        }

        var reason = best == speeds[0]
            ? $"nothing is more than {WorthIt:0.##} times as fast on this machine"
            : FormattableString.Invariant($"{best.Score / speeds[0].Score:0.0} times as fast as {speeds[0].Weights} on this machine");
        return new PrecisionAdvice(best.Weights, speeds, reason);
    }

    private static PrecisionSpeed Measure(string checkpoint, CheckpointConfig config, string weights, string folder, ref float[]? exact)
    {
        var sample = config with
        {
            LayerCount = (int)Math.Clamp(SampleParameters / config.LayerParameterCount, 1, config.LayerCount),
            VocabularySize = Math.Min(config.VocabularySize, SampleVocabulary),
            MaxPositions = Math.Min(config.MaxPositions, SamplePositions),
        };
        var path = Path.Combine(folder, ModelPackage.DecoderFileName);
        using (var tensors = CheckpointWeights.Open(checkpoint, isSample: true))
        {
            DecoderGraph.Write(path, sample, new DecoderPrecision(weights), tensors, static () => { });
        }

        using var runner = new OnnxModelRunner(path, ArchitectureOf(sample), padId: 0, new EngineOptions { MaxSlots = Batch });
        return Run(runner, weights, sample, ref exact);
    }

    private static PrecisionSpeed Run(OnnxModelRunner runner, string weights, CheckpointConfig sample, ref float[]? exact)
    {
        var random = new Random(1);
        var ids = Enumerable.Range(0, sample.MaxPositions).Select(_ => random.Next(sample.VocabularySize)).ToArray();
        var prompt = Math.Min(PromptTokens, sample.MaxPositions / 2);
        var logits = runner.Run(new StepPlan([], new SequenceSlice(0, ids, 0, prompt, WantsLogits: true))).ToArray();
        exact ??= logits;
        var error = Deviation(exact, logits);
        var prefill = prompt * RunsPerSecond(() => runner.Run(new StepPlan([], new SequenceSlice(0, ids, 0, prompt, WantsLogits: true))));
        for (var slot = 1; slot < Batch; slot++)
        {
            runner.MoveSlot(0, slot, prompt);
        }

        var one = Plan(1);
        var many = Plan(Batch);
        return new PrecisionSpeed(weights, RunsPerSecond(() => runner.Run(one)), Batch * RunsPerSecond(() => runner.Run(many)), prefill, error);

        StepPlan Plan(int rows) => new([.. Enumerable.Range(0, rows).Select(slot => new SequenceSlice(slot, ids, prompt, 1, WantsLogits: true))], null);
    }

    /// <summary>The best of several runs: what else the machine does can only make one slower.</summary>
    private static double RunsPerSecond(Action run)
    {
        run();
        var best = double.PositiveInfinity;
        var all = Stopwatch.StartNew();
        while (all.Elapsed < TimePerMeasure)
        {
            var start = Stopwatch.GetTimestamp();
            run();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        return 1 / best;
    }

    private static double Deviation(float[] exact, float[] found)
    {
        var mean = exact.Average();
        var (error, all) = (0.0, double.Epsilon);
        for (var i = 0; i < exact.Length; i++)
        {
            error += ((double)exact[i] - found[i]) * ((double)exact[i] - found[i]);
            all += ((double)exact[i] - mean) * (exact[i] - mean);
        }

        return Math.Sqrt(error / all);
    }

    private static Architecture ArchitectureOf(CheckpointConfig config) => new()
    {
        Family = config.Family,
        LayerCount = config.LayerCount,
        HeadCount = config.HeadCount,
        KvHeadCount = config.KvHeadCount,
        HeadDim = config.HeadDim,
        HiddenSize = config.HiddenSize,
        VocabularySize = config.VocabularySize,
        MaxPositions = config.MaxPositions,
        RopeTheta = config.Rope.Theta,
        NgramEmbeddings = config.NgramEmbeddings,
    };
}
