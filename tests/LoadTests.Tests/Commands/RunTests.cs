using Tessera.LoadTests.Commands;
using Tessera.LoadTests.Reporting;
using Tessera.LoadTests.Tests.Support;

namespace Tessera.LoadTests.Tests.Commands;

/// <summary><c>run</c> against a stand-in server over real HTTP.</summary>
public sealed class RunTests : IDisposable
{
    private const string Metrics = """
        process_resident_memory_bytes 200000000
        tessera_kv_cache_bytes_in_use 4096
        tessera_kv_cache_bytes_peak 8192
        """;

    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    private static string RightAnswer(ScriptedRequest request) => Transcript.Response(2, 1, request.Prompt.Split(' ')[1]);

    private Task<int> LoadAsync(ScriptedServer server, params string[] arguments) => _run.LoadAsync(server.Url, Samples.Jsonl(40), arguments);

    // Holds the requests from `first` on until all up to `last` are there: so many are then surely in flight at once.
    private static Task<ScriptedServer> StartGatedAsync(int first, int last)
    {
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return ScriptedServer.StartAsync(async (request, context) =>
        {
            if (request.Number == last)
            {
                all.SetResult();
            }

            if (request.Number >= first)
            {
                await all.Task.WaitAsync(TimeSpan.FromSeconds(60));
            }

            await ScriptedServer.WriteEventsAsync(context, RightAnswer(request));
        });
    }

    [Fact]
    public async Task Run_ClosedLoop_ReportsOneArm()
    {
        await using var server = await StartGatedAsync(first: 5, last: 8);

        var exitCode = await LoadAsync(server, "--concurrency", "4", "--requests", "32", "--mode", "latent", "--latent-budget", "3", "--goodput", "e2e:600000");

        Assert.Equal("", _run.Error);
        Assert.Equal(ExitCodes.Complete, exitCode);
        Assert.Equal(("run", "completed"), (_run.Report.Command, _run.Report.Ended));
        var arm = Assert.Single(_run.Point.Arms);
        Assert.Equal(("latent:3", "latent", 3), (arm.Arm, arm.Mode, arm.LatentBudget));
        Assert.Equal(new RequestsReport(32, 32, 0, 0, 0, 0, 0), arm.Requests);
        Assert.Equal((32, 32), (arm.Accuracy.Correct, arm.Accuracy.N));
        Assert.Equal(4, arm.InFlight.Max);
        Assert.Equal((32, 1.0), (arm.Goodput!.Good, arm.Goodput.Share));
        Assert.Null(arm.Saturation);
        Assert.NotNull(arm.SteadyState);
        Assert.Empty(_run.Point.Comparisons);
        Assert.Equal("closed_loop", _run.Point.Load.Kind);
        Assert.All(server.Requests, request => Assert.Equal("""{"mode":"latent","explain":false,"latent_budget":3}""", request.Body.GetProperty("reasoning").GetRawText()));
    }

    [Fact]
    public async Task Run_SeveralLoads_GiveOnePointEach()
    {
        await using var server = await StartGatedAsync(first: 10, last: 12);

        await LoadAsync(server, "--concurrency", "1,3", "--requests", "9", "--warmup", "0");

        Assert.Equal([1, 3], _run.Report.Points.Select(point => point.Load.Concurrency));
        Assert.Equal([1, 3], _run.Report.Points.Select(point => point.Arms[0].InFlight.Max));
        Assert.Equal(18, server.Requests.Count);
        Assert.Contains("concurrency 3", _run.Console, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_OpenLoop_KeepsTheRateAndItsShape()
    {
        await using var server = await ScriptedServer.StartAsync(RightAnswer);

        await LoadAsync(server, "--rate", "400", "--burstiness", "2", "--requests", "30", "--warmup", "0");

        var load = _run.Point.Load;
        Assert.Equal(("open_loop", 400, 2, 1024), (load.Kind, load.RequestsPerSecond!.Value, load.Burstiness!.Value, load.Concurrency));
        Assert.Equal(30, _run.Point.Arms[0].Requests.Succeeded);
        Assert.True(_run.Point.Arms[0].Throughput.Seconds >= 30.0 / 400);
    }

    // The server answers nothing before everything arrived: the backlog is all of it.
    [Fact]
    public async Task Run_OpenLoopBeyondTheServer_SaysThatItIsOverSaturated()
    {
        await using var server = await StartGatedAsync(first: 1, last: 30);

        await LoadAsync(server, "--rate", "300", "--requests", "30", "--warmup", "0");

        Assert.True(_run.Point.Arms[0].Saturation!.IsOverSaturated);
        Assert.Contains(_run.Report.Notes, note => note.StartsWith("auto: over-saturated: ", StringComparison.Ordinal));
        Assert.Equal(30, _run.Point.Arms[0].InFlight.Max);
    }

    [Fact]
    public async Task Run_ServerWithMetrics_SamplesItsMemory()
    {
        var reads = 0;

        // A third read is sent only when the second one was taken.
        var readOften = new TaskCompletionSource();
        await using var server = await ScriptedServer.StartAsync(
            async (request, context) =>
            {
                await readOften.Task.WaitAsync(TimeSpan.FromSeconds(60));
                await ScriptedServer.WriteEventsAsync(context, RightAnswer(request));
            },
            metrics: () =>
            {
                if (Interlocked.Increment(ref reads) == 3)
                {
                    readOften.SetResult();
                }

                return Metrics;
            });

        await LoadAsync(server, "--requests", "1", "--warmup", "0");

        var arm = _run.Point.Arms[0];
        Assert.Equal(200_000_000, arm.Memory.ResidentBytes.Mean);
        Assert.Equal(4096, arm.KvCache.BytesInUse.Max);
        Assert.All(arm.Memory.KvPeak, peak => Assert.Equal(8192, peak));
        Assert.Equal(arm.Memory.Seconds.Count, arm.Memory.Resident.Count);
        Assert.True(arm.Memory.Seconds.Count >= 2);
        Assert.Equal(0, arm.Memory.GpuBytes.N);
        Assert.Equal(8192, _run.Report.Server.KvBytesPeak);
    }

    [Fact]
    public async Task Run_ApiKeyFile_IsSentAndNeverShown()
    {
        await using var server = await ScriptedServer.StartAsync(RightAnswer);

        await LoadAsync(server, "--requests", "2", "--api-key-file", _run.Write("key", "tessera-secret\n"));

        Assert.All(server.Requests, request => Assert.Equal("Bearer tessera-secret", request.Authorization));
        Assert.DoesNotContain("tessera-secret", _run.Console + _run.ReportText, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ApiKeyFileEmpty_SaysSo()
    {
        var path = _run.Write("key", "\n");

        var exitCode = await _run.LoadAsync("http://127.0.0.1:1", Samples.Jsonl(1), "--api-key-file", path);

        Assert.Equal(ExitCodes.CannotRun, exitCode);
        Assert.Equal($"tessera-load: --api-key-file: {path}: expected a key of visible ASCII characters, found nothing", _run.Error);
    }

    [Fact]
    public async Task Run_BuiltInDataset_NeedsNoFile()
    {
        await using var server = await ScriptedServer.StartAsync(_ => Transcript.Response(1, 0, "True"));

        await _run.RunAsync(
            ["run", "--dataset", "builtin:prontoqa", "--requests", "10", "--warmup", "2", "--out", Path.Combine(_run.Folder, "out"), "--url", server.Url, "--no-png"]);

        Assert.Equal("", _run.Error);
        Assert.Equal(12, server.Requests.Select(request => request.Prompt).Distinct().Count());
        Assert.Equal(("builtin:prontoqa", "generated", "exact"), (_run.Report.Run.Dataset.Name, _run.Report.Run.Dataset.Layout, _run.Report.Run.Dataset.AnswerRule));
        Assert.InRange(_run.Point.Arms[0].Accuracy.Correct, 1, 9);
        Assert.Empty(_run.Report.Notes);
    }
}
