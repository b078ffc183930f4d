using Tessera.LoadTests.Arrivals;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Tests.Arrivals;

public sealed class LoadGeneratorTests
{
    // Far beyond what any step takes on a loaded machine: only a hang reaches it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static TargetRequest[] Requests(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new TargetRequest("m", $"p{i}", ReasoningMode.Text, null, null))];

    [Fact]
    public async Task Run_OpenLoop_DoesNotWaitForAnswers()
    {
        using var target = new HeldTarget(release: 20);

        var outcomes = await new LoadGenerator(target, new ArrivalSettings(64, Rate: 2000), TimeProvider.System)
            .RunAsync(Requests(20), 1, _ => { }, CancellationToken.None).WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal(20, target.MostInFlight);
        Assert.All(outcomes, outcome => Assert.Equal(OutcomeKind.Succeeded, outcome!.Kind));
    }

    [Fact]
    public async Task Run_OpenLoop_CountsFromTheIntendedTimes()
    {
        using var target = new HeldTarget(release: 5);
        var settings = new ArrivalSettings(64, Rate: 1000);
        var schedule = ArrivalSchedule.Compute(5, settings, 3);

        await new LoadGenerator(target, settings, TimeProvider.System)
            .RunAsync(Requests(5), 3, _ => { }, CancellationToken.None).WaitAsync(Patience, TestContext.Current.CancellationToken);

        var intended = target.Intended.Order().ToList();
        for (var i = 1; i < intended.Count; i++)
        {
            var gap = TimeProvider.System.GetElapsedTime(intended[0], intended[i]);
            Assert.Equal((schedule[i] - schedule[0]).TotalMilliseconds, gap.TotalMilliseconds, 0.01);
        }
    }

    // What waits for a free connection was still meant to be sent when it arrived.
    [Fact]
    public async Task Run_OpenLoopAtItsCap_WaitsInTheClientAndKeepsTheIntendedTime()
    {
        using var target = new HeldTarget(release: 2);

        var outcomes = await new LoadGenerator(target, new ArrivalSettings(2, Rate: 5000), TimeProvider.System)
            .RunAsync(Requests(6), 1, _ => { }, CancellationToken.None).WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal(2, target.MostInFlight);
        Assert.Equal(6, outcomes.Count(outcome => outcome?.Kind == OutcomeKind.Succeeded));
        Assert.Equal(6, target.Intended.Distinct().Count());
    }

    [Theory]
    [InlineData(null)]
    [InlineData(0.001)]
    public async Task Run_Interrupted_LeavesTheRestUntouched(double? rate)
    {
        using var interruption = new CancellationTokenSource();
        using var target = new HeldTarget(release: 1);

        var outcomes = await new LoadGenerator(target, new ArrivalSettings(1, rate), TimeProvider.System)
            .RunAsync(Requests(3), 1, _ => interruption.Cancel(), Canceled(rate, interruption)).WaitAsync(Patience, TestContext.Current.CancellationToken);

        Assert.Equal(rate is null ? 1 : 0, outcomes.Count(outcome => outcome is not null));
    }

    // In the open loop the first arrival is a quarter of an hour away: the wait itself must end.
    private static CancellationToken Canceled(double? rate, CancellationTokenSource source)
    {
        if (rate is not null)
        {
            source.Cancel();
        }

        return source.Token;
    }

    /// <summary>Holds requests until so many are in flight.</summary>
    private sealed class HeldTarget(int release) : IGenerationTarget
    {
        private readonly Lock _lock = new();
        private readonly List<long> _intended = [];
        private TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _inFlight;

        public int MostInFlight { get; private set; }

        public IReadOnlyList<long> Intended => _intended;

        public Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken) => Task.FromResult(new ServerFacts("m", null));

        public Task<ServerMemory?> ReadMemoryAsync(CancellationToken cancellationToken) => Task.FromResult<ServerMemory?>(null);

        public async Task<RequestOutcome> GenerateAsync(TargetRequest request, CancellationToken cancellationToken)
        {
            Task released;
            lock (_lock)
            {
                _intended.Add(request.IntendedTimestamp ?? 0);
                MostInFlight = Math.Max(MostInFlight, ++_inFlight);
                released = _gate.Task;
                if (_inFlight == release)
                {
                    _gate.SetResult();
                    _gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                    _inFlight = 0;
                }
            }

            await released.WaitAsync(Patience, cancellationToken);
            return new RequestOutcome { Kind = OutcomeKind.Succeeded, EndToEnd = TimeSpan.FromMilliseconds(1) };
        }

        public void Dispose()
        {
        }
    }
}
