using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Reporting;

/// <summary><c>--baseline</c> and <c>--fail-on</c> through the command line.</summary>
public sealed class BaselineTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Theory]
    [InlineData("p99_e2e=+10%", "p99_e2e", 10, MarginUnit.Percent)]
    [InlineData("accuracy=-1pt", "accuracy", -1, MarginUnit.Points)]
    [InlineData("mean_kv_bytes=+0.5%", "mean_kv_bytes", 0.5, MarginUnit.Percent)]
    [InlineData("requests_per_second=-5%", "requests_per_second", -5, MarginUnit.Percent)]
    public void TryParse_Rule_IsRead(string text, string metric, double margin, MarginUnit unit)
    {
        Assert.True(FailRule.TryParse(text, out var rule));
        Assert.Equal(new FailRule(metric, margin, unit), rule);
    }

    [Theory]
    [InlineData("p98_e2e=+10%")]
    [InlineData("p99_e2e=10%")]
    [InlineData("p99_e2e=+10pt")]
    [InlineData("accuracy=-1%")]
    [InlineData("accuracy=-1")]
    [InlineData("accuracy=-%")]
    [InlineData("accuracy")]
    public void TryParse_NotARule_IsRefused(string text) => Assert.False(FailRule.TryParse(text, out _));

    // Four right of four before; the second run gets `wrong` of them wrong and writes one word more of reasoning.
    private async Task<int> RunTwiceAsync(string rules, int wrong)
    {
        var isSecond = false;
        await using var server = await ScriptedServer.StartAsync(request =>
        {
            var number = int.Parse(request.Prompt.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
            return Transcript.Response(1, isSecond ? 5 : 4, isSecond && number <= wrong ? "none" : $"{number}");
        });
        await _run.LoadAsync(server.Url, Samples.Jsonl(4), "--warmup", "0");
        var baseline = _run.Write("baseline.json", _run.ReportText);
        isSecond = true;
        return await _run.LoadAsync(server.Url, Samples.Jsonl(4), "--warmup", "0", "--baseline", baseline, "--fail-on", rules);
    }

    [Theory]
    [InlineData("accuracy=-50pt", 2, ExitCodes.Complete, "ok: accuracy (auto, concurrency 1): 100.0 % -> 50.0 %, allowed -50pt")]
    [InlineData("accuracy=-49pt", 2, ExitCodes.Regressed, "WORSE: accuracy (auto, concurrency 1): 100.0 % -> 50.0 %, allowed -49pt")]
    [InlineData("tokens=+10%", 0, ExitCodes.Complete, "ok: tokens (auto, concurrency 1): 10.0 -> 11.0, allowed +10%")]
    [InlineData("tokens=+9%", 0, ExitCodes.Regressed, "WORSE: tokens (auto, concurrency 1): 10.0 -> 11.0, allowed +9%")]
    [InlineData("p50_resident_bytes=+9%", 0, ExitCodes.Complete, "ok: p50_resident_bytes (auto, concurrency 1): - -> -, allowed +9%")]
    public async Task Run_Baseline_FailsWhenAFigureIsWorseThanAllowed(string rules, int wrong, int expected, string line)
    {
        var exitCode = await RunTwiceAsync(rules, wrong);

        Assert.Equal("", _run.Error);
        Assert.Equal(expected, exitCode);
        Assert.Contains(line, _run.Console, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "expected schema tessera.load-report/2, found none")]
    [InlineData("{\"schema\":\"tessera.load-report/1\"}", "expected schema tessera.load-report/2, found tessera.load-report/1")]
    [InlineData("[", "not a report of tessera-load")]
    [InlineData("null", "not a report of tessera-load")]
    public async Task Run_BaselineIsNoReport_SaysSoBeforeItMeasures(string content, string expected)
    {
        var path = _run.Write("baseline.json", content);

        var exitCode = await _run.LoadAsync("http://127.0.0.1:1", Samples.Jsonl(1), "--baseline", path);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: --baseline: {path}: {expected}", _run.Error);
    }
}
