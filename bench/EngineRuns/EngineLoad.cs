using System.Diagnostics;
using Tessera.Engine;
using Tessera.Engine.Requests;
using Tessera.Models;

namespace Tessera.Bench.EngineRuns;

/// <summary>Requests of exact lengths for one engine: random prompt ids, text mode, and neither the end of the reasoning nor that of the response allowed.</summary>
internal sealed class EngineLoad(InferenceEngine engine)
{
    /// <summary>Past the ids with a meaning of their own, which a prompt may not hold.</summary>
    private const int FirstTextId = 32;
    private readonly Random _random = new(1);

    /// <summary>Starts one response of exactly <paramref name="tokens"/> tokens.</summary>
    /// <exception cref="InvalidOperationException">The engine refuses it.</exception>
    public Generation Submit(int promptTokens, int tokens)
    {
        var package = engine.Package;
        var input = new GenerationInput
        {
            PromptIds = [.. Enumerable.Range(0, promptTokens).Select(_ => _random.Next(FirstTextId, package.Vocabulary.ThinkId))],
            MaxTokens = tokens,
            Mode = "text",
            Temperature = 0,
            Explain = false,
            LogitBias = new Dictionary<int, double> { [package.Vocabulary.EosId] = -100, [package.Vocabulary.EndThinkId] = -100 },
        };
        if (!GenerationRequest.TryCreate(input, package, engine.Options, GenerationFieldNames.Rest, out var request, out var problems))
        {
            throw new InvalidOperationException(string.Join("; ", problems.Select(problem => $"{problem.Field}: {problem.Message}")));
        }

        return engine.Submit(request) is SubmitResult.Accepted accepted ? accepted.Generation : throw new InvalidOperationException("the engine refused a request");
    }

    /// <summary>Tokens per second of <paramref name="batch"/> sequences, from the moment that all have begun to the moment that the first one ends.</summary>
    public async Task<double> ThroughputAsync(int batch, int promptTokens, int tokens)
    {
        var clock = new BatchClock(batch);
        await Task.WhenAll(Enumerable.Range(0, batch).Select(_ => Submit(promptTokens, tokens)).ToArray().Select(generation => Task.Run(async () =>
        {
            var isFirst = true;
            await foreach (var one in generation.Events.ReadAllAsync())
            {
                if (TokensOf(one) is > 0 and var count)
                {
                    clock.Add(count, isFirst);
                    isFirst = false;
                }
            }

            clock.End();
        })));
        return clock.TokensPerSecond;
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

    private static int TokensOf(GenerationEvent one) => one switch
    {
        ReasoningTextEvent text => text.TokenIds.Count,
        AnswerTextEvent text => text.TokenIds.Count,
        LatentEvent => 1,
        _ => 0,
    };

    /// <summary>Counts tokens between the last beginning and the first end.</summary>
    private sealed class BatchClock(int batch)
    {
        private readonly Lock _lock = new();
        private int _begun;
        private bool _hasEnded;
        private long _start;
        private long _tokens;
        private double _seconds;

        public double TokensPerSecond => _tokens / _seconds;

        public void Add(int count, bool isFirst)
        {
            lock (_lock)
            {
                if (isFirst && ++_begun == batch)
                {
                    _start = Stopwatch.GetTimestamp();
                    return;
                }

                if (_begun == batch && !_hasEnded)
                {
                    _tokens += count;
                    _seconds = Stopwatch.GetElapsedTime(_start).TotalSeconds;
                }
            }
        }

        public void End()
        {
            lock (_lock)
            {
                _hasEnded = true;
            }
        }
    }
}
