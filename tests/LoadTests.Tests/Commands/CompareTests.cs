using System.Text.Json;
using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Commands;

/// <summary>The whole command against a stand-in server over real HTTP.</summary>
public sealed class CompareTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    // Text mode writes six words of reasoning and gets Lee wrong; latent mode needs two latents and gets all right.
    private static string Answer(ScriptedRequest request)
    {
        var name = request.Prompt.Split(' ')[0];
        var concept = (name, request.IsLatent) switch
        {
            ("Bob", _) => "fep",
            ("Ann", _) => "dax",
            ("Kim", _) => "nib",
            (_, true) => "pov",
            _ => "rud",
        };
        return request.IsLatent
            ? Transcript.Response(latents: 2, reasoningWords: 0, answer: $"{name} is a {concept}.")
            : Transcript.Response(latents: 0, reasoningWords: 6, answer: $"{name} is a {concept}.");
    }

    [Fact]
    public async Task Compare_ScriptedServer_ReportsExactCounts()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        var exitCode = await _run.CompareAsync(server.Url, Samples.ProsQa, "--concurrency", "2", "--warmup", "1");

        Assert.Equal("", _run.Error);
        Assert.Equal(ExitCodes.Complete, exitCode);
        Assert.Equal(10, server.Requests.Count);
        var (text, latent) = (_run.Report.Modes.Text, _run.Report.Modes.Latent);
        Assert.Equal(new RequestsReport(4, 4, 0, 0, 0, 0, 0), text.Requests);
        Assert.Equal(new RequestsReport(4, 4, 0, 0, 0, 0, 0), latent.Requests);
        Assert.Equal((3, 4, 0.75), (text.Accuracy.Correct, text.Accuracy.N, text.Accuracy.Value));
        Assert.Equal((4, 4, 1.0), (latent.Accuracy.Correct, latent.Accuracy.N, latent.Accuracy.Value));

        // Answer: four words and the end of sequence.
        Assert.Equal(new TokensReport(4, 20, 4, 0, 1, 6, 5, 12), text.Tokens);
        Assert.Equal(new TokensReport(4, 20, 4, 2, 3, 0, 5, 10), latent.Tokens);

        // Of 1,000 bytes per position; the last token has none.
        Assert.Equal(31_000, text.KvCache.BytesPerRequest.Mean);
        Assert.Equal(29_000, latent.KvCache.BytesPerRequest.Mean);

        // Gaps between the tokens that the stream carries: 10 words in text mode, 2 latents and 4 words in latent mode.
        Assert.Equal(4 * 9, text.InterTokenTimeMs.N);
        Assert.Equal(4 * 5, latent.InterTokenTimeMs.N);
        Assert.Equal("completed", _run.Report.Ended);
        Assert.Equal(new ServerReport(1000, 9000), _run.Report.Server);
    }

    [Fact]
    public async Task Compare_ScriptedServer_ComparesPairs()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa);

        var report = _run.Report;
        Assert.Equal((4, 0, 1), (report.Accuracy.Pairs, report.Accuracy.OnlyTextCorrect, report.Accuracy.OnlyLatentCorrect));
        Assert.Equal(0.25, report.Accuracy.LatentMinusText.Mean);
        Assert.Equal(1, report.Accuracy.McnemarP);
        var tokens = report.Ratios.Single(ratio => ratio.Metric == "completion_tokens_mean");
        Assert.Equal(new RatioReport("completion_tokens_mean", 4, 12, 10, 1.2, 1.2, 1.2), tokens);
        Assert.Equal("measured_pair", report.Savings.Basis);
        Assert.Equal(4, report.Savings.Pairs);
        Assert.Equal(2, report.Savings.LatentTokens);
        Assert.Equal(6, report.Savings.TextEquivalentTokens);
        Assert.Equal(2, report.Savings.TokensSaved.Mean);
        Assert.Equal(2, report.Savings.StepsSaved.Mean);
        Assert.Equal(2.0 / 12, report.Savings.FractionSaved.Mean!.Value, 12);
        Assert.Equal(2000, report.Savings.KvBytesSaved.Mean);
        Assert.Equal([1, 2, 3, 4], report.Pairs.Select(pair => pair.Prompt).Order());
        Assert.All(report.Pairs, pair => Assert.Equal((2, 2000L), (pair.Savings!.TokensSaved, pair.Savings.KvBytesSaved!.Value)));
        Assert.All(report.Pairs, pair => Assert.Equal((pair.Text!.EndToEndMs - pair.Latent!.EndToEndMs) / 1000, pair.Savings!.SecondsSaved, tolerance: 1e-9));
    }

    [Fact]
    public async Task Compare_Options_ReachTheServer()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa, "--requests", "1", "--warmup", "0", "--latent-budget", "5", "--max-tokens", "64", "--model", "tiny");

        Assert.Equal(["text", "latent"], server.Requests.Select(request => request.Mode));
        var (text, latent) = (server.Requests.First().Body, server.Requests.Last().Body);
        Assert.Equal("""{"mode":"text","explain":false}""", text.GetProperty("reasoning").GetRawText());
        Assert.Equal("""{"mode":"latent","explain":false,"latent_budget":5}""", latent.GetProperty("reasoning").GetRawText());
        Assert.All(server.Requests, request =>
        {
            Assert.Equal("tiny", request.Body.GetProperty("model").GetString());
            Assert.True(request.Body.GetProperty("stream").GetBoolean());
            Assert.True(request.Body.GetProperty("stream_options").GetProperty("include_usage").GetBoolean());
            Assert.Equal(0, request.Body.GetProperty("temperature").GetInt32());
            Assert.Equal(64, request.Body.GetProperty("max_tokens").GetInt32());
        });
    }

    [Fact]
    public async Task Compare_Report_HoldsNoPromptAndNoAnswer()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa);

        Assert.DoesNotContain("blick", _run.ReportText, StringComparison.Ordinal);
        Assert.DoesNotContain("fep", _run.ReportText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_Report_KeepsItsFieldNames()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa);

        using var report = JsonDocument.Parse(_run.ReportText);
        var root = report.RootElement;
        Assert.Equal("tessera.load-report/1", root.GetProperty("schema").GetString());
        Assert.Equal(
            "schema tool started_at duration_seconds ended run server notes modes accuracy ratios savings failures usage_problems pairs", Names(root));
        Assert.Equal(
            "url model dataset requests_asked prompts concurrency block_prompts warmup_prompts latent_budget max_tokens timeout_seconds seed sampling",
            Names(root.GetProperty("run")));
        var latent = root.GetProperty("modes").GetProperty("latent");
        Assert.Equal(
            "requests accuracy tokens time_to_first_token_ms time_to_first_answer_token_ms inter_token_time_ms time_per_output_token_ms end_to_end_ms throughput kv_cache",
            Names(latent));
        Assert.Equal("attempted succeeded refused failed timed_out interrupted ended_by_length", Names(latent.GetProperty("requests")));
        Assert.Equal("n prompt cached latent control reasoning_text answer completion", Names(latent.GetProperty("tokens")));
        Assert.Equal("n mean p50 p90 p95 p99 max", Names(latent.GetProperty("end_to_end_ms")));
        Assert.Equal(
            "basis pairs latent_tokens text_equivalent_tokens tokens_saved fraction_saved steps_saved seconds_saved kv_bytes_saved", Names(root.GetProperty("savings")));
        Assert.Equal("metric n text latent ratio low high", Names(root.GetProperty("ratios")[0]));
        Assert.Equal("pairs only_text_correct only_latent_correct latent_minus_text mcnemar_p", Names(root.GetProperty("accuracy")));
    }

    [Fact]
    public async Task Compare_Console_ShowsBothModesSideBySide()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa);

        var accuracy = _run.Console.Split('\n').Single(line => line.Contains("accuracy", StringComparison.Ordinal) && line.Contains('│'));
        Assert.Matches(@"accuracy\s+│\s+75\.0 % \[30\.1, 95\.4\]\s+│\s+100\.0 % \[51\.0, 100\.0\]", accuracy);
        var completion = _run.Console.Split('\n').Single(line => line.Contains("  completion", StringComparison.Ordinal));
        Assert.Matches(@"completion\s+│\s+12\.0 │\s+10\.0 │\s+1\.20 \[1\.20, 1\.20\]", completion);
        Assert.Contains("saved per prompt (measured_pair, 4 pairs): 2.00 [2.00, 2.00] tokens = 16.7 [16.7, 16.7] %", _run.Console, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_MoreRequestsThanPrompts_RunsAllOnceAndSaysSo()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        var exitCode = await _run.CompareAsync(server.Url, Samples.ProsQa, "--requests", "9", "--warmup", "0");

        Assert.Equal(ExitCodes.Complete, exitCode);
        Assert.Equal(8, server.Requests.Count);
        Assert.Equal((9, 4), (_run.Report.Run.RequestsAsked, _run.Report.Run.Prompts));
        Assert.StartsWith("--requests 9: the dataset has 4 prompts; all of them run once.", _run.Report.Notes[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Compare_FewerRequestsThanPrompts_WarmsUpOnTheOthers()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa, "--requests", "2", "--warmup", "2");

        var prompts = server.Requests.Select(request => request.Prompt).ToList();
        Assert.Equal(8, prompts.Count);
        Assert.Empty(prompts[..4].Intersect(prompts[4..]));
        Assert.Empty(_run.Report.Notes);
    }

    [Fact]
    public async Task Compare_WarmUpNeedsMeasuredPrompts_SaysSo()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa, "--requests", "3", "--warmup", "2");

        Assert.Equal(["warm-up: 1 of the measured prompts were warmed up too, because the dataset has only 1 others"], _run.Report.Notes);
        Assert.Equal(2, _run.Report.Run.WarmupPrompts);
    }

    [Fact]
    public async Task Compare_TokenLimitEndsResponses_CountsThem()
    {
        await using var server = await ScriptedServer.StartAsync(request => Transcript.Response(
            request.IsLatent ? 1 : 0, 1, request.Prompt.Split(' ')[1], finishReason: request.IsLatent ? "stop" : "length"));

        await _run.CompareAsync(server.Url, Samples.Jsonl(3), "--warmup", "0");

        Assert.Equal((3, 0), (_run.Report.Modes.Text.Requests.EndedByLength, _run.Report.Modes.Latent.Requests.EndedByLength));
        Assert.Matches(@"ended by the token limit\s+│\s+3 │\s+0 │", _run.Console);
    }

    [Fact]
    public async Task Compare_NoLatentsInLatentMode_SaysSo()
    {
        await using var server = await ScriptedServer.StartAsync(_ => Transcript.Response(0, 3, "1"));

        await _run.CompareAsync(server.Url, Samples.Jsonl(2), "--requests", "1");

        Assert.Contains("latent mode gave no latents at all: this compares text with text", _run.Report.Notes);
    }

    private static string Names(JsonElement element) => string.Join(' ', element.EnumerateObject().Select(property => property.Name));
}
