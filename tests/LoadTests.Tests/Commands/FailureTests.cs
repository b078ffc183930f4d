using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Commands;

/// <summary>What goes wrong while the server is asked: nothing is dropped, everything is named.</summary>
public sealed class FailureTests : IDisposable
{
    private const string BadBudget = """{"error":{"message":"latent_budget is at most 64","type":"invalid_request_error","param":"reasoning.latent_budget","code":null}}""";

    // Far beyond what any step takes on a loaded machine: only a hang reaches it.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    private static string RightAnswer(ScriptedRequest request) =>
        Transcript.Response(request.IsLatent ? 1 : 0, request.IsLatent ? 0 : 2, request.Prompt.Split(' ')[1]);

    [Fact]
    public async Task Compare_SomeRequestsFail_CountsThemInEveryDenominator()
    {
        await using var server = await ScriptedServer.StartAsync((request, context) => (request.Prompt, request.Mode) switch
        {
            ("question 1", "text") => ScriptedServer.WriteErrorAsync(context, 429, """{"error":{"message":"the queue is full","param":null}}"""),
            ("question 2", "text") => ScriptedServer.WriteErrorAsync(context, 500, "<html>\noops</html>"),
            ("question 3", "latent") => ScriptedServer.WriteEventsAsync(context, new Transcript().Role().Answer("3").Raw("data: {oops\n\n").ToString()),
            ("question 4", "latent") => ScriptedServer.WriteErrorAsync(context, 200, "{}"),
            _ => ScriptedServer.WriteEventsAsync(context, RightAnswer(request)),
        });

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(6), "--warmup", "0", "--concurrency", "3");

        Assert.Equal(ExitCodes.Flawed, exitCode);
        var report = _run.Report;
        Assert.Equal(new RequestsReport(6, 4, 1, 1, 0, 0, 0), _run.Text.Requests);
        Assert.Equal(new RequestsReport(6, 4, 0, 2, 0, 0, 0), _run.Latent.Requests);
        Assert.Equal((4, 6), (_run.Text.Accuracy.Correct, _run.Text.Accuracy.N));
        Assert.Equal((4, 6), (_run.Latent.Accuracy.Correct, _run.Latent.Accuracy.N));
        Assert.Equal((6, 2, 2), (_run.Comparison.Accuracy.Pairs, _run.Comparison.Accuracy.OnlyBaselineCorrect, _run.Comparison.Accuracy.OnlyArmCorrect));
        Assert.Equal(2, _run.Comparison.Savings.Pairs);
        Assert.Equal(
            [
                new FailureReport("latent", "failed", null, "a stream event is not JSON", 1),
                new FailureReport("latent", "failed", null, "expected content type text/event-stream, found application/json", 1),
                new FailureReport("text", "refused", 429, "HTTP 429: the queue is full", 1),
                new FailureReport("text", "failed", 500, "HTTP 500: <html> oops</html>", 1),
            ],
            report.Failures.OrderBy(failure => failure.Arm, StringComparer.Ordinal).ThenBy(failure => failure.Message, StringComparer.Ordinal));
        Assert.Contains("HTTP 429: the queue is full", _run.Console, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_ServerRefusesAParameterInTheWarmUp_ShowsTheParameterAndStops()
    {
        await using var server = await ScriptedServer.StartAsync((request, context) => request.IsLatent
            ? ScriptedServer.WriteErrorAsync(context, 400, BadBudget)
            : ScriptedServer.WriteEventsAsync(context, RightAnswer(request)));

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(3), "--warmup", "1");

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal("tessera-load: warm-up in latent mode failed: HTTP 400: latent_budget is at most 64 (param: reasoning.latent_budget)", _run.Error);
        Assert.False(File.Exists(_run.ReportPath));
    }

    [Fact]
    public async Task Compare_ServerRefusesAParameterWithoutWarmUp_ReportsTheParameter()
    {
        await using var server = await ScriptedServer.StartAsync((_, context) => ScriptedServer.WriteErrorAsync(context, 400, BadBudget));

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(2), "--warmup", "0");

        Assert.Equal(ExitCodes.Flawed, exitCode);
        Assert.All(_run.Report.Failures, failure => Assert.Equal(
            ("failed", 400, "HTTP 400: latent_budget is at most 64 (param: reasoning.latent_budget)", 2), (failure.Kind, failure.HttpStatus, failure.Message, failure.Count)));
        Assert.Equal((0, 2), (_run.Text.Accuracy.Correct, _run.Text.Accuracy.N));
        Assert.Null(_run.Text.EndToEndMs.Mean);
    }

    [Fact]
    public async Task Compare_ServerHangs_CountsTimeouts()
    {
        await using var server = await ScriptedServer.StartAsync(async (request, context) =>
        {
            await ScriptedServer.WriteEventsAsync(context, new Transcript().Role().ToString());
            await context.Response.Body.FlushAsync();
            await Task.Delay(Patience, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(1), "--warmup", "0", "--timeout", "0.3");

        Assert.Equal(ExitCodes.Flawed, exitCode);
        Assert.Equal("completed", _run.Report.Ended);
        Assert.Equal(new RequestsReport(1, 0, 0, 0, 1, 0, 0), _run.Text.Requests);
        Assert.Equal(new RequestsReport(1, 0, 0, 0, 1, 0, 0), _run.Latent.Requests);
        Assert.All(_run.Report.Failures, failure => Assert.Equal("no end after 0.3 s", failure.Message));
    }

    [Fact]
    public async Task Compare_ServerDiesMidRun_ReportsWhatRanAndStops()
    {
        ScriptedServer? dying = null;
        await using var server = await ScriptedServer.StartAsync(async (request, context) =>
        {
            if (request.Number == 5)
            {
                await dying!.KillAsync();
                context.Abort();
                return;
            }

            await ScriptedServer.WriteEventsAsync(context, RightAnswer(request));
        });
        dying = server;

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(20), "--warmup", "0");

        Assert.Equal(ExitCodes.Flawed, exitCode);
        var report = _run.Report;
        Assert.Equal("server_unreachable", report.Ended);
        Assert.Equal(new RequestsReport(8, 4, 0, 4, 0, 0, 0), _run.Text.Requests);
        Assert.Equal(0, _run.Latent.Requests.Attempted);
        Assert.Null(_run.Latent.Accuracy.Value);
        Assert.Equal(8, _run.Point.Prompts.Count);
        Assert.Contains("the server stopped answering: 0 of 20 prompts ran in every mode", report.Notes);
    }

    [Fact]
    public async Task Compare_UserInterrupts_ReportsWhatRan()
    {
        using var interruption = new CancellationTokenSource();
        await using var server = await ScriptedServer.StartAsync(async (request, context) =>
        {
            if (request.Number == 11)
            {
                await interruption.CancelAsync();
                await Task.Delay(Patience, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
                return;
            }

            await ScriptedServer.WriteEventsAsync(context, RightAnswer(request));
        });

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(20), interruption.Token, "--warmup", "0");

        Assert.Equal(ExitCodes.Interrupted, exitCode);
        var report = _run.Report;
        Assert.Equal("interrupted", report.Ended);
        Assert.Equal(new RequestsReport(8, 8, 0, 0, 0, 0, 0), _run.Text.Requests);
        Assert.Equal(new RequestsReport(2, 2, 0, 0, 0, 1, 0), _run.Latent.Requests);
        Assert.Equal(2, _run.Comparison.Savings.Pairs);
        Assert.Contains("the run was interrupted: 2 of 20 prompts ran in every mode", report.Notes);
    }

    [Fact]
    public async Task Compare_UsageContradictsItself_ReportsBothCounts()
    {
        var wrong = Usage.Of(20, 1, 0, 1) with { Total = 99 };
        await using var server = await ScriptedServer.StartAsync(request => request.IsLatent && request.Prompt == "question 2"
            ? Transcript.Response(1, 0, "2", usage: wrong)
            : RightAnswer(request));

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(3), "--warmup", "0");

        Assert.Equal(ExitCodes.Flawed, exitCode);
        var expected = "usage: prompt_tokens 20 + completion_tokens 6 = 26, but total_tokens is 99";
        Assert.Equal([new UsageProblemReport("latent", 2, expected)], _run.Report.UsageProblems);
        Assert.Contains($"prompt 2, latent: {expected}", _run.Console, StringComparison.Ordinal);
        Assert.Equal(3, _run.Latent.Accuracy.Correct);
        Assert.Equal(2, _run.Latent.Tokens.N);
        Assert.Equal(2, _run.Comparison.Savings.Pairs);
    }

    [Fact]
    public async Task Compare_ServerTellsNoKvBytes_LeavesThemOutAndSaysSo()
    {
        await using var server = await ScriptedServer.StartAsync(
            (request, context) => ScriptedServer.WriteEventsAsync(context, RightAnswer(request)), info: "{}");

        var exitCode = await _run.CompareAsync(server.Url, Samples.Jsonl(2), "--warmup", "0");

        Assert.Equal(ExitCodes.Complete, exitCode);
        Assert.Equal(0, _run.Text.KvCache.BytesPerRequest.N);
        Assert.Null(_run.Comparison.Savings.KvBytesSaved.Mean);
        Assert.Equal(new ServerReport(true, null, null), _run.Report.Server);
        Assert.Contains("the server does not tell engine.kv_bytes_per_position on /info: no KV bytes per request", _run.Report.Notes);
    }
}
