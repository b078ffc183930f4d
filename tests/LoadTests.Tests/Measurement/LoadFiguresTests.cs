using Tessera.LoadTests.Comparison;
using Tessera.LoadTests.Measurement;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Tests.Measurement;

/// <summary>Objectives, requests in flight, the steady state and over-saturation, on made-up times.</summary>
public sealed class LoadFiguresTests
{
    private const long Ticks = 1000; // per second: a timestamp is a millisecond

    private static RequestOutcome Outcome(int intendedMs, int delayMs, int endToEndMs, OutcomeKind kind = OutcomeKind.Succeeded) => new()
    {
        Kind = kind,
        IntendedTimestamp = 5000 + intendedMs,
        SendDelay = TimeSpan.FromMilliseconds(delayMs),
        EndToEnd = TimeSpan.FromMilliseconds(endToEndMs),
    };

    private static Timeline Timeline(int durationMs, params RequestOutcome?[] outcomes) =>
        new(new PhaseResult(new Phase(0, 0, 0, outcomes.Length), 5000, TimeSpan.Zero, TimeSpan.FromMilliseconds(durationMs), [], outcomes), Ticks);

    [Fact]
    public void InFlight_OverlappingRequests_FollowsSendsAndEnds()
    {
        var timeline = Timeline(400, Outcome(0, 0, 200), Outcome(100, 50, 200), null, Outcome(300, 0, 100, OutcomeKind.Failed), Outcome(200, 0, 50));

        var series = timeline.InFlight();

        // The first ends as the last begins: never three at once.
        Assert.Equal([0, 0.15, 0.2, 0.25, 0.3, 0.4], series.Seconds);
        Assert.Equal([1, 2, 2, 1, 1, 0], series.Values);
        Assert.Equal((200 + 150 + 100 + 50) / 400.0, timeline.MeanInFlight(), 9);
    }

    [Fact]
    public void SteadyState_ClosedLoop_IsFromTheLastWorkersFirstRequestToTheLastSend()
    {
        var timeline = Timeline(900, Outcome(0, 0, 300), Outcome(20, 0, 300), Outcome(300, 0, 300), Outcome(320, 0, 300), Outcome(600, 0, 300));

        var (from, to) = timeline.SteadyState(concurrency: 2)!.Value;

        Assert.Equal((0.02, 0.6), (from, to));
        Assert.Null(timeline.SteadyState(concurrency: 64));
        Assert.Equal(0, timeline.SteadyState(concurrency: null)!.Value.From);
    }

    [Theory]
    [InlineData("ttft:100", true)]
    [InlineData("ttft:99", false)]
    [InlineData("ttfa:150,e2e:400", true)]
    [InlineData("ttfa:149,e2el:400", false)]
    [InlineData("tpot:30", true)]
    [InlineData("tpot:29.9", false)]
    public void AreMet_Objectives_MustAllHold(string text, bool expected)
    {
        var outcome = Outcome(0, 0, 400) with
        {
            TimeToFirstToken = TimeSpan.FromMilliseconds(100),
            TimeToFirstAnswerToken = TimeSpan.FromMilliseconds(150),
            Usage = new TokenUsage(5, 0, 2, 3, 0, 6),
        };
        Assert.True(Objectives.TryParse(text, out var objectives));

        Assert.Equal(expected, objectives.AreMet(outcome));
        Assert.False(objectives.AreMet(outcome with { Kind = OutcomeKind.TimedOut }));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ttft")]
    [InlineData("ttft:0")]
    [InlineData("ttft:1,")]
    [InlineData("p99:3")]
    public void TryParse_NotObjectives_IsRefused(string text) => Assert.False(Objectives.TryParse(text, out _));

    // Ten requests/s; the server ends one every `endsEveryMs`, in order.
    private static List<TimedRequest> Queue(int count, int endsEveryMs) =>
        [.. Enumerable.Range(0, count).Select(i =>
        {
            var arrived = i / 10.0;
            var ended = Math.Max(arrived + 0.05, (i + 1) * endsEveryMs / 1000.0);
            return new TimedRequest(arrived, arrived, ended, Outcome(0, 0, 0));
        })];

    [Theory]
    [InlineData(100, 90, false)]
    [InlineData(100, 150, true)]
    [InlineData(100, 115, true)]
    [InlineData(100, 102, false)]
    public void Detect_ServerAtARate_TellsWhetherItKeepsUp(int count, int endsEveryMs, bool expected)
    {
        var saturation = Saturation.Detect(Queue(count, endsEveryMs))!;

        Assert.Equal(expected, saturation.IsOverSaturated);
        Assert.Equal(10, saturation.ArrivalsPerSecond, 0.5);
    }

    [Fact]
    public void Detect_FewArrivals_SaysNothing() => Assert.Null(Saturation.Detect(Queue(19, 500)));
}
