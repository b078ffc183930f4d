using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Tessera.Bench.Timing;
using Tessera.Engine;
using Tessera.Engine.Requests;

namespace Tessera.Bench.EngineRuns;

/// <summary>
/// What hints cost: latent responses of the shape that the shipped model gives to ProsQA (prompts of 180 tokens, 6 latents, 5 tokens of answer), read to their last
/// event, with hints and without.
/// </summary>
internal static class HintRun
{
    private const int PromptTokens = 180;
    private const int Latents = 6;
    private const int AnswerTokens = 5;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(0.7);
    private static readonly Random Prompts = new(3);

    /// <summary>Adds the rows.</summary>
    public static async Task AddAsync(Table table, InferenceEngine engine, int rounds)
    {
        if (engine.Codebook is null)
        {
            return;
        }

        foreach (var clients in new[] { 1, 8 })
        {
            var (without, with) = (new List<double>(), new List<double>());
            for (var round = 0; round <= rounds; round++)
            {
                var (a, b) = (await MedianTimeAsync(engine, clients, explains: false), await MedianTimeAsync(engine, clients, explains: true));
                if (round > 0)
                {
                    without.Add(a);
                    with.Add(b);
                }
            }

            var (plain, hinted) = (Summary.Of(without), Summary.Of(with));
            table.AddRow($"latent response, {clients} at once, without hints, p50 ms", plain.Median, plain.Range, "1.00");
            table.AddRow(
                $"latent response, {clients} at once, with hints, p50 ms", hinted.Median, hinted.Range,
                (hinted.MedianValue / plain.MedianValue).ToString("F2", CultureInfo.InvariantCulture));
        }
    }

    // Milliseconds from submission to the last event; each client sends again at once.
    private static async Task<double> MedianTimeAsync(InferenceEngine engine, int clients, bool explains)
    {
        var times = new List<double>();
        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(start) < Duration)
            {
                var sent = Stopwatch.GetTimestamp();
                var generation = Submit(engine, explains);
                await generation.WhenFinished;
                lock (times)
                {
                    times.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
                }
            }
        })));
        return Summary.Percentile(times, 50);
    }

    private static Generation Submit(InferenceEngine engine, bool explains)
    {
        var vocabulary = engine.Package.Vocabulary;
        int[] prompt;
        lock (Prompts)
        {
            prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => Prompts.Next(EngineLoad.FirstTextId, vocabulary.ThinkId))];
        }

        // The budget ends the reasoning after the latents: <boLatent>, the latents, <eoLatent>, </think>.
        var input = new GenerationInput
        {
            PromptIds = prompt,
            Mode = "latent",
            LatentBudget = Latents,
            ThinkingBudget = Latents + 2,
            MaxTokens = Latents + 3 + AnswerTokens,
            Explain = explains,
            LogitBias = new Dictionary<int, double> { [vocabulary.EosId] = -100, [vocabulary.EoLatentId] = -100 },
        };
        if (!GenerationRequest.TryCreate(input, engine.Package, engine.Options, GenerationFieldNames.Rest, out var request, out var problems))
        {
            throw new InvalidOperationException(string.Join("; ", problems.Select(problem => $"{problem.Field}: {problem.Message}")));
        }

        return engine.Submit(request) is SubmitResult.Accepted accepted ? accepted.Generation : throw new InvalidOperationException("the engine refused a request");
    }
}
