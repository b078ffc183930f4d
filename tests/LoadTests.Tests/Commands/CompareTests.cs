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
        var (text, latent) = (_run.Text, _run.Latent);
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
        Assert.Equal(new ServerReport(true, 1000, 9000), _run.Report.Server);
    }

    [Fact]
    public async Task Compare_ScriptedServer_ComparesPairs()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa);

        var report = _run.Report;
        Assert.Equal((4, 0, 1), (_run.Comparison.Accuracy.Pairs, _run.Comparison.Accuracy.OnlyBaselineCorrect, _run.Comparison.Accuracy.OnlyArmCorrect));
        Assert.Equal(0.25, _run.Comparison.Accuracy.ArmMinusBaseline.Mean);
        Assert.Equal(1, _run.Comparison.Accuracy.McnemarP);
        var tokens = _run.Comparison.Ratios.Single(ratio => ratio.Metric == "completion_tokens_mean");
        Assert.Equal(new RatioReport("completion_tokens_mean", 4, 12, 10, 1.2, 1.2, 1.2), tokens);
        Assert.Equal("measured_pair", _run.Comparison.Savings.Basis);
        Assert.Equal(4, _run.Comparison.Savings.Pairs);
        Assert.Equal(2, _run.Comparison.Savings.LatentTokens);
        Assert.Equal(6, _run.Comparison.Savings.TextEquivalentTokens);
        Assert.Equal(2, _run.Comparison.Savings.TokensSaved.Mean);
        Assert.Equal(2, _run.Comparison.Savings.StepsSaved.Mean);
        Assert.Equal(2.0 / 12, _run.Comparison.Savings.FractionSaved.Mean!.Value, 12);
        Assert.Equal(2000, _run.Comparison.Savings.KvBytesSaved.Mean);
        Assert.Equal([1, 2, 3, 4], _run.Point.Prompts.Select(pair => pair.Prompt).Order());
        Assert.All(_run.Point.Prompts, prompt =>
        {
            Assert.Equal(["text", "latent"], prompt.Runs.Select(run => run.Arm));
            Assert.Null(prompt.Runs[0].Savings);
            var savings = prompt.Runs[1].Savings!;
            Assert.Equal(("measured_pair", 2, 2000L), (savings.Basis, savings.TokensSaved, savings.KvBytesSaved!.Value));
            Assert.Equal((prompt.Runs[0].EndToEndMs - prompt.Runs[1].EndToEndMs) / 1000, savings.SecondsSaved, tolerance: 1e-9);
        });
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

    // A prompt that one mode has sent must not wait in the server's prefix cache for the next one; within a mode prefixes are shared as in service.
    [Fact]
    public async Task Compare_Modes_HaveCacheSaltsOfTheirOwn()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa, "--concurrency", "1,2", "--warmup", "0");
        await _run.CompareAsync(server.Url, Samples.ProsQa, "--warmup", "0");

        var salts = server.Requests.Select(request => (request.Mode, Salt: request.Body.GetProperty("cache_salt").GetString()!)).ToList();
        Assert.Equal(24, salts.Count);
        Assert.Equal(6, salts.Select(salt => salt.Salt).Distinct().Count());
        Assert.Equal(6, salts.Distinct().Count());
        Assert.All(salts.GroupBy(salt => salt.Salt), group => Assert.Equal(4, group.Count()));
        Assert.Equal("isolated", _run.Report.Run.PrefixCache);
    }

    [Fact]
    public async Task Compare_SharedPrefixCache_SendsNoSalt()
    {
        await using var server = await ScriptedServer.StartAsync(Answer);

        await _run.CompareAsync(server.Url, Samples.ProsQa, "--shared-prefix-cache");

        Assert.All(server.Requests, request => Assert.False(request.Body.TryGetProperty("cache_salt", out _)));
        Assert.Equal("shared", _run.Report.Run.PrefixCache);
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
        Assert.Equal("tessera.load-report/2", root.GetProperty("schema").GetString());
        Assert.Equal(
            "schema tool command started_at duration_seconds ended run server client notes points failures usage_problems", Names(root));
        Assert.Equal(
            "url grpc model dataset requests_asked prompts warmup_prompts max_tokens timeout_seconds seed sampling prefix_cache objectives", Names(root.GetProperty("run")));
        var point = root.GetProperty("points")[0];
        Assert.Equal("load ended arms comparisons prompts", Names(point));
        Assert.Equal("kind concurrency requests_per_second burstiness ramp_from ramp_shape block_prompts", Names(point.GetProperty("load")));
        var latent = point.GetProperty("arms")[1];
        Assert.Equal(
            "arm mode latent_budget requests accuracy tokens time_to_first_token_ms time_to_first_answer_token_ms inter_token_time_ms time_per_output_token_ms "
            + "end_to_end_ms send_delay_ms throughput steady_state goodput in_flight saturation kv_cache memory",
            Names(latent));
        Assert.Equal("attempted succeeded refused failed timed_out interrupted ended_by_length", Names(latent.GetProperty("requests")));
        Assert.Equal("n prompt cached latent control reasoning_text answer completion", Names(latent.GetProperty("tokens")));
        Assert.Equal("n mean p50 p90 p95 p99 max", Names(latent.GetProperty("end_to_end_ms")));
        var comparison = point.GetProperty("comparisons")[0];
        Assert.Equal("baseline arm accuracy ratios savings", Names(comparison));
        Assert.Equal(
            "basis pairs latent_tokens text_equivalent_tokens tokens_saved fraction_saved steps_saved seconds_saved kv_bytes_saved", Names(comparison.GetProperty("savings")));
        Assert.Equal("metric n baseline value ratio low high", Names(comparison.GetProperty("ratios")[0]));
        Assert.Equal("pairs only_baseline_correct only_arm_correct arm_minus_baseline mcnemar_p", Names(comparison.GetProperty("accuracy")));
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

        Assert.Equal((3, 0), (_run.Text.Requests.EndedByLength, _run.Latent.Requests.EndedByLength));
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
