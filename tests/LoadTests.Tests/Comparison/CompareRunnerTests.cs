using System.Collections.Concurrent;
using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Datasets;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Tests.Comparison;

public sealed class CompareRunnerTests
{
    // Far beyond what any step takes on a loaded machine: only a hang reaches it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static PromptDataset Dataset(int count) =>
        new("n", "h", DatasetLayout.Jsonl, [.. Enumerable.Range(1, count).Select(i => new PromptCase(i, $"p{i}", $"{i}"))], AnswerRule.ExactOrFinalNumber);

    private static CompareRunner Runner(IGenerationTarget target, int concurrency, TimeSpan? memorySampleInterval = null) =>
        new(
            target,
            new CompareSettings(Arm.Dial([null]), new ArrivalSettings(concurrency), "m", null, 1) { MemorySampleInterval = memorySampleInterval ?? TimeSpan.FromMilliseconds(5) },
            TimeProvider.System, (_, _) => { });

    [Fact]
    public async Task Run_ClosedLoop_KeepsTheConcurrencyAndOneModeAtATime()
    {
        var dataset = Dataset(24);
        using var target = new GatheringTarget(concurrency: 4);

        var result = await Runner(target, concurrency: 4).RunAsync(dataset, dataset.Cases, CancellationToken.None);

        Assert.Equal(CompareEnd.Completed, result.End);
        Assert.Equal(4, target.MostInFlight);
        Assert.False(target.SawBothModesInFlight);
        Assert.All(result.Prompts, prompt => Assert.True(prompt.Pair(0, 1).BothSucceeded));
        Assert.Equal(24, target.Prompts(ReasoningMode.Text).Distinct().Count());
        Assert.Equal(24, target.Prompts(ReasoningMode.Text).Count);
        Assert.Equal(target.Prompts(ReasoningMode.Text).Order(), target.Prompts(ReasoningMode.Latent).Order());
    }

    [Fact]
    public async Task Run_MemorySamples_BelongToTheArmThatRan()
    {
        var dataset = Dataset(2);
        using var target = new SampledTarget(wanted: 2);

        var result = await Runner(target, concurrency: 1).RunAsync(dataset, dataset.Cases, CancellationToken.None).WaitAsync(Patience, TestContext.Current.CancellationToken);

        var samples = result.Phases.ToDictionary(phase => phase.Phase.Arm, phase => phase.Memory.Select(sample => sample.Memory.KvBytesInUse).ToList());
        Assert.True(samples[0].Count >= 2);
        Assert.All(samples[0], sample => Assert.Equal(700, sample));
        Assert.True(samples[1].Count >= 2);
        Assert.All(samples[1], sample => Assert.Equal(300, sample));
        Assert.Equal(900, result.KvBytesPeak);
    }

    [Fact]
    public async Task Run_BlockShorterThanTheInterval_HasAMemorySample()
    {
        var dataset = Dataset(1);
        using var target = new SampledTarget(wanted: 1);

        var result = await Runner(target, concurrency: 1, memorySampleInterval: TimeSpan.FromHours(1))
            .RunAsync(dataset, dataset.Cases, CancellationToken.None).WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal([700L, 300L], result.Phases.OrderBy(phase => phase.Phase.Arm).Select(phase => Assert.Single(phase.Memory).Memory.KvBytesInUse));
    }

    private static RequestOutcome Success(string answer) =>
        new() { Kind = OutcomeKind.Succeeded, Answer = answer, EndToEnd = TimeSpan.FromMilliseconds(1) };

    /// <summary>Lets requests go only when as many as the concurrency wait.</summary>
    private sealed class GatheringTarget(int concurrency) : IGenerationTarget
    {
        private readonly Lock _lock = new();
        private readonly Dictionary<ReasoningMode, int> _inFlight = new() { [ReasoningMode.Text] = 0, [ReasoningMode.Latent] = 0 };
        private readonly ConcurrentQueue<(ReasoningMode Mode, string Prompt)> _prompts = new();
        private TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int MostInFlight { get; private set; }

        public bool SawBothModesInFlight { get; private set; }

        public IReadOnlyList<string> Prompts(ReasoningMode mode) => [.. _prompts.Where(entry => entry.Mode == mode).Select(entry => entry.Prompt)];

        public Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken) => Task.FromResult(new ServerFacts("m", null));

        public Task<ServerMemory?> ReadMemoryAsync(CancellationToken cancellationToken) => Task.FromResult<ServerMemory?>(null);

        public async Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken)
        {
            _prompts.Enqueue((request.Mode, request.Prompt));
            Task released;
            lock (_lock)
            {
                _inFlight[request.Mode]++;
                MostInFlight = Math.Max(MostInFlight, _inFlight.Values.Sum());
                SawBothModesInFlight |= _inFlight.Values.All(count => count > 0);
                released = _gate.Task;
                if (_inFlight[request.Mode] == concurrency)
                {
                    _gate.SetResult();
                    _gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    _inFlight[request.Mode] = 0;
                }
            }

            await released.WaitAsync(Patience, cancellationToken);
            return Success("");
        }

        public void Dispose()
        {
        }
    }

    /// <summary>Ends each request only after the cache was read so many times during it.</summary>
    private sealed class SampledTarget(int wanted) : IGenerationTarget
    {
        private readonly Lock _lock = new();
        private TaskCompletionSource? _sampled;
        private ReasoningMode? _mode;
        private int _samples;

        public Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken) => Task.FromResult(new ServerFacts("m", 10));

        public Task<ServerMemory?> ReadMemoryAsync(CancellationToken cancellationToken)
        {
            lock (_lock)
            {
                if (cancellationToken.CanBeCanceled && _mode is null)
                {
                    return Task.FromResult<ServerMemory?>(null);
                }

                if (++_samples == wanted)
                {
                    _sampled?.SetResult();
                }

                return Task.FromResult<ServerMemory?>(new ServerMemory(null, _mode == ReasoningMode.Text ? 700 : 300, 900, null));
            }
        }

        public async Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken)
        {
            var sampled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_lock)
            {
                (_mode, _samples, _sampled) = (request.Mode, 0, sampled);
            }

            await sampled.Task.WaitAsync(Patience, cancellationToken);
            lock (_lock)
            {
                _mode = null;
            }

            return Success("1");
        }

        public void Dispose()
        {
        }
    }
}
