using Microsoft.AspNetCore.Http;
using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Tests.Support;
using Tessera.Protos.V1;

namespace Tessera.LoadTests.Tests.Commands;

/// <summary>Requests over gRPC; models and memory over REST.</summary>
public sealed class GrpcTests : IDisposable
{
    private const int ResourceExhausted = 8;
    private const int Internal = 13;
    private const int Unavailable = 14;

    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    private static GenerateEvent[] Answer(GenerateRequest request, uint? answerTokens = null)
    {
        var events = new List<GenerateEvent> { new() { Accepted = new Accepted { PromptTokens = 20 } } };
        var isLatent = request.Reasoning.Mode == ReasoningMode.Latent;
        if (isLatent)
        {
            events.Add(new GenerateEvent { Latent = new LatentDelta { Span = 0, Index = 0, Codes = { 4, 5 } } });
            events.Add(new GenerateEvent { Latent = new LatentDelta { Span = 0, Index = 0, Codes = { 4 }, Hint = "a hint" } });
        }
        else
        {
            events.Add(new GenerateEvent { Reasoning = new ReasoningDelta { Text = " so it is", TokenIds = { 1, 2, 3 } } });
        }

        events.Add(new GenerateEvent { Answer = new AnswerDelta { Text = request.Chat.Messages[0].Content.Split(' ')[1], TokenIds = { 9 } } });
        var usage = new Protos.V1.Usage
        {
            PromptTokens = 20,
            LatentTokens = isLatent ? 2u : 0,
            ControlTokens = isLatent ? 3u : 1,
            ReasoningTextTokens = isLatent ? 0 : 3u,
            AnswerTokens = answerTokens ?? 2,
        };
        usage.CompletionTokens = usage.LatentTokens + usage.ControlTokens + usage.ReasoningTextTokens + 2;
        events.Add(new GenerateEvent { Finished = new Finished { Reason = "stop", Usage = usage } });
        return [.. events];
    }

    private async Task<int> CompareAsync(Func<GenerateRequest, HttpContext, Task> generate, params string[] arguments)
    {
        await using var rest = await ScriptedServer.StartAsync(_ => throw new InvalidOperationException("the requests go over gRPC"));
        await using var grpc = await ScriptedGrpcServer.StartAsync(generate);
        return await _run.CompareAsync(rest.Url, Samples.Jsonl(4), ["--warmup", "0", "--grpc", grpc.Url, .. arguments]);
    }

    [Fact]
    public async Task Compare_Grpc_ReportsExactCounts()
    {
        var authorizations = new System.Collections.Concurrent.ConcurrentBag<string>();

        var exitCode = await CompareAsync(
            (request, context) =>
            {
                authorizations.Add(context.Request.Headers.Authorization.ToString());
                return ScriptedGrpcServer.AnswerAsync(context, 0, "", Answer(request));
            },
            "--api-key-file", _run.Write("key", "k-1"), "--latent-budget", "2", "--max-tokens", "32");

        Assert.Equal("", _run.Error);
        Assert.Equal(ExitCodes.Complete, exitCode);
        Assert.Equal(8, authorizations.Count);
        Assert.All(authorizations, authorization => Assert.Equal("Bearer k-1", authorization));
        Assert.Equal(new RequestsReport(4, 4, 0, 0, 0, 0, 0), _run.Text.Requests);
        Assert.Equal(new TokensReport(4, 20, 0, 0, 1, 3, 2, 6), _run.Text.Tokens);
        var latent = _run.Point.FindArm("latent:2")!;
        Assert.Equal(new TokensReport(4, 20, 0, 2, 3, 0, 2, 7), latent.Tokens);
        Assert.Equal((4, 4), (latent.Accuracy.Correct, latent.Accuracy.N));
        Assert.Equal(4 * 3, _run.Text.InterTokenTimeMs.N);
        Assert.Equal(4 * 2, latent.InterTokenTimeMs.N);
        Assert.Equal(1000 * 26, latent.KvCache.BytesPerRequest.Mean);
    }

    [Fact]
    public async Task Compare_GrpcStatuses_AreCountedApart()
    {
        var exitCode = await CompareAsync((request, context) => (request.Chat.Messages[0].Content, request.Reasoning.Mode) switch
        {
            ("question 1", ReasoningMode.Text) => ScriptedGrpcServer.AnswerAsync(context, ResourceExhausted, "the queue is full"),
            ("question 2", ReasoningMode.Text) => ScriptedGrpcServer.AnswerAsync(context, Unavailable, "draining"),
            ("question 3", ReasoningMode.Text) => ScriptedGrpcServer.AnswerAsync(context, Internal, "a step failed"),
            ("question 4", ReasoningMode.Text) => ScriptedGrpcServer.AnswerAsync(context, 0, "", new GenerateEvent { Answer = new AnswerDelta { Text = "4" } }),
            _ => ScriptedGrpcServer.AnswerAsync(context, 0, "", Answer(request)),
        });

        Assert.Equal(ExitCodes.Flawed, exitCode);
        Assert.Equal(new RequestsReport(4, 0, 2, 2, 0, 0, 0), _run.Text.Requests);
        Assert.Equal((0, 4), (_run.Text.Accuracy.Correct, _run.Text.Accuracy.N));
        Assert.Equal(
            ["gRPC Internal: a step failed", "gRPC ResourceExhausted: the queue is full", "gRPC Unavailable: draining", "the call ended without a Finished event"],
            _run.Report.Failures.Select(failure => failure.Message).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Compare_GrpcServerHangs_CountsTimeouts()
    {
        await CompareAsync(
            (_, context) => Task.Delay(TimeSpan.FromSeconds(120), context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default),
            "--requests", "1", "--timeout", "0.3");

        Assert.Equal(new RequestsReport(1, 0, 0, 0, 1, 0, 0), _run.Text.Requests);
        Assert.All(_run.Report.Failures, failure => Assert.Equal(("timed_out", "no end after 0.3 s"), (failure.Kind, failure.Message)));
    }

    [Fact]
    public async Task Compare_GrpcUsageContradictsItself_ReportsBothCounts()
    {
        await CompareAsync((request, context) => ScriptedGrpcServer.AnswerAsync(context, 0, "", Answer(request, answerTokens: 5)), "--requests", "1");

        Assert.Equal(
            [
                "usage: completion_tokens 6 without latent, control and reasoning text leaves 2, but answer_tokens is 5",
                "usage: completion_tokens 7 without latent, control and reasoning text leaves 2, but answer_tokens is 5",
            ],
            _run.Report.UsageProblems.Select(problem => problem.Problem).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Compare_NoGrpcServer_CountsFailures()
    {
        await using var rest = await ScriptedServer.StartAsync(_ => "");

        var exitCode = await _run.CompareAsync(rest.Url, Samples.Jsonl(1), "--warmup", "0", "--grpc", "http://127.0.0.1:1");

        Assert.Equal(ExitCodes.Flawed, exitCode);
        Assert.Equal(new RequestsReport(1, 0, 0, 1, 0, 0, 0), _run.Text.Requests);
    }
}
