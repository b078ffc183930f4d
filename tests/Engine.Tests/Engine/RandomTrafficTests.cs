using FsCheck;
using FsCheck.Fluent;
using Tessera.Engine.Requests;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Engine;

/// <summary>
/// Whatever arrives, in whatever order, with whatever budgets, seeds, limits and cancellations, and however scarce positions are: everybody gets the tokens that they
/// would get alone. The bookkeeping is checked after every step.
/// </summary>
public sealed class RandomTrafficTests
{
    [Fact]
    public async Task Responses_UnderRandomTraffic_EqualThoseAlone()
    {
        await using var alone = await EngineHarness.StartForPromptsAsync();
        var preempted = 0L;
        var copied = 0L;

        // A fixed replay: the same traffic on every machine; how it falls into steps still differs from run to run.
        Prop.ForAll(Arb.From(Traffics), traffic => CheckAsync(alone, traffic).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(40).WithReplay(new Replay(new Rnd(20261120, 9), Microsoft.FSharp.Core.FSharpOption<int>.None)));

        Assert.True(preempted > 0 && copied > 0, $"{preempted} preemptions, {copied} copied tokens: the traffic is too easy");

        async Task CheckAsync(EngineHarness reference, Traffic traffic)
        {
            var options = new EngineOptions { MaxSlots = traffic.Slots, MaxKvPositions = traffic.Positions, PrefillChunk = traffic.Chunk, PrefillShare = traffic.Share };
            var time = new ManualTime();
            await using var harness = await EngineHarness.StartForPromptsAsync(options, time: time, sharesPrefixes: true, sharesTime: true);
            using var gate = new StepGate();
            var costs = new Random(traffic.Seed);
            harness.Runner.BeforeRun = plan =>
            {
                // Prompts take up to forty times as long as a step without.
                gate.Pass();
                time.Advance(TimeSpan.FromMilliseconds(plan is { Prompts: [], Prefill: null } ? 1 : costs.Next(1, 40)));
            };

            // Half of them meet for certain; the others come when they come.
            var early = traffic.Requests.Take(traffic.Requests.Length / 2).Select(request => RunAsync(harness, request)).ToList();
            gate.Open();
            var late = traffic.Requests.Skip(early.Count).Select(request => RunAsync(harness, request)).ToList();
            var responses = await Task.WhenAll(early.Concat(late));
            foreach (var (request, response) in traffic.Requests.Zip(responses))
            {
                var expected = await reference.RunAsync(request.Input);
                if (request.CancelAfter is null)
                {
                    Assert.Equal(Text(expected), Text(response));
                    Assert.Equal(expected.Usage with { CachedTokens = 0 }, response.Usage with { CachedTokens = 0 });
                }
                else
                {
                    Assert.StartsWith(Text(response), Text(expected), StringComparison.Ordinal);
                }
            }

            var status = harness.Engine.GetStatus();
            preempted += status.PreemptionCount;
            copied += status.PrefixCacheHitTokens;
            Assert.Equal((0, 0, 0L), (status.RunningCount, status.WaitingCount, status.KvPositionsInUse));
            Assert.Equal(status.KvBytesResident, harness.Runner.StoredPositionCount * 1024L);
            Assert.Empty(harness.Faults);
        }
    }

    private static Gen<Traffic> Traffics =>
        from slots in Gen.Choose(1, 6)
        from positions in Gen.Choose(130, 220)
        from chunk in Gen.Elements(1, 3, 8, 256)
        from share in Gen.Elements(0.1, 0.5, 1)
        from seed in Gen.Choose(0, 1000)
        from requests in Requests.ListOf(14)
        select new Traffic(slots, positions, chunk, share, seed, [.. requests]);

    private static Gen<Arrival> Requests =>
        from prompt in Gen.Choose(1, 24)
        from word in Gen.Elements(" Tom", " Every")
        from mode in Gen.Elements("auto", "latent", "text", "none")
        from budget in Gen.Choose(0, 4)
        from thinking in Gen.Choose(3, 12)
        from temperature in Gen.Elements(0, 1.0, 1.9)
        from seed in Gen.Choose(0, 1000)
        from maxTokens in Gen.Choose(1, 40)
        from isEndless in Gen.Elements(false, false, true)
        from cancelAfter in Gen.Choose(-12, 6)
        select new Arrival(
            new GenerationInput
            {
                Prompt = string.Concat(Enumerable.Repeat(word, prompt)),
                Mode = isEndless ? "text" : mode,
                LatentBudget = mode is "auto" or "latent" && budget > 0 && !isEndless ? budget : null,
                ThinkingBudget = mode != "none" && thinking % 2 == 0 && !isEndless ? thinking : null,
                LogitBias = isEndless ? new Dictionary<int, double> { [TestModel.Vocabulary.EndThinkId] = -100 } : null,
                Temperature = temperature,
                TopK = seed % 3 == 0 ? 12 : null,
                MinP = seed % 5 == 0 ? 0.02 : null,
                RepetitionPenalty = seed % 7 == 0 ? 1.3 : null,
                PresencePenalty = seed % 11 == 0 ? 0.5 : null,
                MinTokens = seed % 4 == 0 ? Math.Min(maxTokens, 6) : null,
                Seed = seed,
                MaxTokens = isEndless ? 50 + maxTokens : maxTokens,
                CacheSalt = seed % 2 == 0 ? "even" : null,
                Logprobs = seed % 13 == 0 ? 2 : null,
            },
            cancelAfter >= 0 ? cancelAfter : null);

    private static async Task<Response> RunAsync(EngineHarness harness, Arrival arrival)
    {
        var generation = harness.Submit(harness.Request(arrival.Input));
        for (var i = 0; i < arrival.CancelAfter; i++)
        {
            await Task.Yield();
        }

        if (arrival.CancelAfter is not null)
        {
            generation.Cancel();
        }

        return await Response.ReadAsync(generation);
    }

    private static string Text(Response response) =>
        string.Concat(response.Events.Select(item => item switch
        {
            LatentEvent latent => $"z{latent.Code} ",
            ReasoningTextEvent { TokenIds: [var id] } => $"r{id} ",
            AnswerTextEvent { TokenIds: [var id] } => $"a{id} ",
            _ => "",
        }));

    private sealed record Arrival(GenerationInput Input, int? CancelAfter);

    private sealed record Traffic(int Slots, int Positions, int Chunk, double Share, int Seed, Arrival[] Requests);
}
