using System.Diagnostics;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Bench.EngineRuns;

/// <summary>Requests of exact lengths for one engine: random prompt ids, text mode, and neither the end of the reasoning nor that of the response allowed.</summary>
internal sealed class EngineLoad(InferenceEngine engine)
{
    /// <summary>Past the ids with a meaning of their own, which a prompt may not hold.</summary>
    public const int FirstTextId = 32;
    private readonly Random _random = new(1);

    /// <summary>Starts one response of exactly <paramref name="tokens"/> tokens.</summary>
    /// <exception cref="InvalidOperationException">The engine refuses it.</exception>
    public Generation Submit(int promptTokens, int tokens)
    {
        int[] ids = [.. Enumerable.Range(0, promptTokens).Select(_ => _random.Next(FirstTextId, engine.Package.Vocabulary.ThinkId))];
        var request = Request(engine.Package, engine.Options, ids, tokens);
        return engine.Submit(request) is SubmitResult.Accepted accepted ? accepted.Generation : throw new InvalidOperationException("the engine refused a request");
    }

    /// <summary>A request for exactly <paramref name="tokens"/> tokens.</summary>
    public static GenerationRequest Request(ModelPackage package, EngineOptions options, int[] promptIds, int tokens)
    {
        var input = new GenerationInput
        {
            PromptIds = promptIds,
            MaxTokens = tokens,
            Mode = "text",
            Temperature = 0,
            Explain = false,
            LogitBias = new Dictionary<int, double> { [package.Vocabulary.EosId] = -100, [package.Vocabulary.EndThinkId] = -100 },
        };
        return GenerationRequest.TryCreate(input, package, options, GenerationFieldNames.Rest, out var request, out var problems)
            ? request
            : throw new InvalidOperationException(string.Join("; ", problems.Select(problem => $"{problem.Field}: {problem.Message}")));
    }

    /// <summary>Tokens per second of <paramref name="batch"/> sequences, from the moment that all have begun to the moment that the first one ends.</summary>
    public async Task<double> ThroughputAsync(int batch, int promptTokens, int tokens)
    {
        // Submitted together, read as a server reads: whatever is there, then wait.
        var generations = Enumerable.Range(0, batch).Select(_ => Submit(promptTokens, tokens)).ToArray();
        var arrivals = await Task.WhenAll(generations.Select(generation => Task.Run(() => TimestampsAsync(generation, tokens))));
        var start = arrivals.Max(times => times[0]);
        var end = arrivals.Min(times => times[^1]);
        return arrivals.Sum(times => times.Count(time => time > start && time <= end)) / Stopwatch.GetElapsedTime(start, end).TotalSeconds;
    }

    /// <summary>Seconds between successive tokens of one response.</summary>
    /// <param name="generation">The response.</param>
    /// <param name="onToken">Told how many tokens have come.</param>
    /// <returns>Arrival of each token against the first one's, in seconds.</returns>
    public static async Task<List<double>> ArrivalsAsync(Generation generation, Action<int>? onToken = null)
    {
        var arrivals = new List<double>();
        var start = 0L;
        await foreach (var one in generation.Events.ReadAllAsync())
        {
            if (TokensOf(one) == 0)
            {
                continue;
            }

            start = start == 0 ? Stopwatch.GetTimestamp() : start;
            arrivals.Add(Stopwatch.GetElapsedTime(start).TotalSeconds);
            onToken?.Invoke(arrivals.Count);
        }

        return arrivals;
    }

    private static async Task<List<long>> TimestampsAsync(Generation generation, int tokens)
    {
        var times = new List<long>(tokens);
        while (await generation.Events.WaitToReadAsync())
        {
            while (generation.Events.TryRead(out var one))
            {
                for (var count = TokensOf(one); count > 0; count--)
                {
                    times.Add(Stopwatch.GetTimestamp());
                }
            }
        }

        return times;
    }

    private static int TokensOf(GenerationEvent one) => one switch
    {
        ReasoningTextEvent text => text.TokenIds.Count,
        AnswerTextEvent text => text.TokenIds.Count,
        LatentEvent => 1,
        _ => 0,
    };
}
