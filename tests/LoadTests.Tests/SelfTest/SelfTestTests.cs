using Tessera.LoadTests.SelfTest;
using Tessera.LoadTests.Targets;

namespace Tessera.LoadTests.Tests.SelfTest;

public sealed class SelfTestTests
{
    [Fact]
    public void Read_Prompt_GivesThePlanBack()
    {
        var plan = new SelfTestPlan(64, 1234.5, 80);

        Assert.Equal((plan, 7), SelfTestPlan.Read($$"""{"messages":[{"role":"user","content":"{{plan.Prompt(7)}}"}]}"""));
    }

    [Fact]
    public void Due_Streams_TakeTurns()
    {
        var plan = new SelfTestPlan(4, 100, 10);

        Assert.Equal([0, 10, 20, 30, 40], new[] { plan.Due(0, 0), plan.Due(1, 0), plan.Due(2, 0), plan.Due(3, 0), plan.Due(0, 1) }.Select(due => due.TotalMilliseconds));
        Assert.Equal(0.4, plan.Duration.TotalSeconds, 9);
    }

    // A token is seen after it was sent, never before, and every token has its time: two loads over the same connections.
    [Fact]
    public async Task ServeOneLoad_RealClient_SeesEveryTokenAfterItWasSent()
    {
        var plan = new SelfTestPlan(4, 400, 20);
        using var server = new PacedServer(TimeProvider.System);
        _ = server.AcceptAsync();
        using var target = new ChatCompletionsTarget(
            new TargetOptions(new Uri($"http://127.0.0.1:{server.Port}"), null, null, plan.Streams, TimeSpan.FromMinutes(2)), TimeProvider.System);
        for (var load = 0; load < 2; load++)
        {
            var serving = Task.Run(server.ServeOneLoad, TestContext.Current.CancellationToken);
            var outcomes = await Task.WhenAll(Enumerable.Range(0, plan.Streams).Select(stream => target.GenerateAsync(
                new TargetRequest("m", plan.Prompt(stream), ReasoningMode.Text, null, null), TestContext.Current.CancellationToken)));
            var stamps = await serving;

            for (var stream = 0; stream < plan.Streams; stream++)
            {
                var outcome = outcomes[stream];
                Assert.Null(outcome.Error);
                Assert.Null(outcome.UsageProblem);
                Assert.Equal(new TokenUsage(10, 0, 5, 0, 10, 5), outcome.Usage);
                var errors = SelfTestResult.Errors(outcome, stamps[stream]).ToList();
                Assert.Equal(20, errors.Count);
                Assert.All(errors, error => Assert.True(error >= 0, $"a token was seen {-error} ms before it was sent"));
            }
        }
    }

    [Fact]
    public void Errors_TokensMissing_IsRefused()
    {
        var outcome = new RequestOutcome { Kind = OutcomeKind.Succeeded, EndToEnd = TimeSpan.FromSeconds(1), InterTokenTimes = [TimeSpan.Zero] };

        Assert.Throws<LoadTestException>(() => SelfTestResult.Errors(outcome, [1, 2, 3]).ToList());
    }
}
