using System.Net;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Telemetry.Prometheus;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Telemetry;

public sealed class MetricsTests
{
    // Absent where the model runs on the CPU.
    private const string GpuMemory = "tessera_gpu_memory_bytes";
    private const string Latent = """ "reasoning":{"mode":"latent"} """;
    private const string Text = """ "reasoning":{"mode":"text"} """;

    [Fact]
    public async Task Metrics_NothingHappenedYet_HasEveryFamilyWithHelpAndType()
    {
        await using var server = await TestServer.StartAsync();

        using var response = await server.Client.GetAsync("/metrics");
        var page = PrometheusPage.Parse(await response.Content.ReadAsStringAsync());

        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        Assert.Equal(MetricCatalog.For("tiny").Select(family => family.Name).Where(name => name != GpuMemory).Order(), page.Families.Keys.Order());
        Assert.Equal(["answer", "cached", "control", "latent", "prompt", "reasoning_text"], page.Families["tessera_tokens_total"].Samples.Select(sample => sample["kind"]));
        Assert.Equal(0, page.Sum("tessera_tokens_total"));
        Assert.Equal(0, page.Count("tessera_inter_token_seconds"));
        Assert.Equal(1, page.Value("tessera_ready"));
        Assert.True(page.Value("process_resident_memory_bytes") > 1 << 20);
        Assert.True(page.Value("tessera_kv_cache_positions_capacity") > 0);
        Assert.All(
            page.Families.Values.Where(family => family.Name.StartsWith("vllm:", StringComparison.Ordinal)).SelectMany(family => family.Samples),
            sample => Assert.Equal("tiny", sample["model_name"]));
    }

    [Fact]
    public async Task Metrics_ModelOnAGpu_HaveTheMemoryThatItHoldsNow()
    {
        await using var server = await TestServer.StartAsync(runner: runner => runner.DeviceBytes = 5L << 30);

        var first = await server.MetricsAsync();
        server.Runner.DeviceBytes = 6L << 30;
        var second = await server.MetricsAsync();

        Assert.Equal("gauge", first.Families[GpuMemory].Type);
        Assert.Equal((5L << 30, 6L << 30), ((long)first.Value(GpuMemory), (long)second.Value(GpuMemory)));
    }

    [Theory]
    [InlineData("vllm:num_requests_running", "gauge")]
    [InlineData("vllm:num_requests_waiting", "gauge")]
    [InlineData("vllm:kv_cache_usage_perc", "gauge")]
    [InlineData("vllm:time_to_first_token_seconds", "histogram")]
    [InlineData("vllm:inter_token_latency_seconds", "histogram")]
    [InlineData("vllm:e2e_request_latency_seconds", "histogram")]
    [InlineData("vllm:prompt_tokens_total", "counter")]
    [InlineData("vllm:generation_tokens_total", "counter")]
    [InlineData("vllm:request_success_total", "counter")]
    [InlineData("vllm:cache_config_info", "gauge")]
    [InlineData("tessera_tokens_total", "counter")]
    [InlineData("tessera_requests_running", "gauge")]
    [InlineData("tessera_requests_waiting", "gauge")]
    [InlineData("tessera_kv_cache_bytes_in_use", "gauge")]
    [InlineData("tessera_kv_cache_bytes_peak", "gauge")]
    [InlineData("tessera_kv_cache_positions_in_use", "gauge")]
    [InlineData("process_resident_memory_bytes", "gauge")]
    public async Task Metrics_NameThatSchedulersAndToolsRead_HasItsType(string name, string type)
    {
        await using var server = await TestServer.StartAsync();

        Assert.Equal(type, (await server.MetricsAsync()).Families[name].Type);
    }

    [Fact]
    public async Task Metrics_RestAndGrpcGenerations_CountTheTokensOfTheirUsage()
    {
        await using var server = await TestServer.StartAsync();

        var latent = (await server.CompleteAsync(TestServer.Body(Latent)))["usage"]!;
        var text = (await server.CompleteAsync(TestServer.Body(Text)))["usage"]!;
        var grpc = (await server.GenerateAsync(GrpcCalls.NewRequest(ReasoningMode.Latent)))[^1].Finished;
        var page = await server.MetricsAsync(page => page.Sum("tessera_requests_total") == 3);

        var prompt = (int)latent["prompt_tokens"]!;
        var generated = (int)latent["completion_tokens"]! + (int)text["completion_tokens"]! + grpc.Usage.CompletionTokens;
        Assert.Equal(3 * prompt, page.Value("tessera_tokens_total", ("kind", "prompt")));
        Assert.Equal(4, page.Value("tessera_tokens_total", ("kind", "latent")));
        Assert.Equal(3 + 3 + 1, page.Value("tessera_tokens_total", ("kind", "control")));
        Assert.Equal((int)text["completion_tokens_details"]!["reasoning_text_tokens"]!, page.Value("tessera_tokens_total", ("kind", "reasoning_text")));
        Assert.Equal(3 * grpc.Usage.AnswerTokens, page.Value("tessera_tokens_total", ("kind", "answer")));
        Assert.Equal(3 * prompt, page.Value("vllm:prompt_tokens_total"));
        Assert.Equal(generated, page.Value("vllm:generation_tokens_total"));
        Assert.Equal(3, page.Value("vllm:request_success_total", ("finished_reason", "stop")));
        Assert.Equal(0, page.Value("vllm:request_success_total", ("finished_reason", "length")));
        Assert.Equal(2, page.Value("tessera_requests_total", ("protocol", "rest"), ("outcome", "stop"), ("operation", "chat")));
        Assert.Equal(1, page.Value("tessera_requests_total", ("protocol", "grpc"), ("outcome", "stop"), ("operation", "generate_content")));
        foreach (var name in (string[])["time_to_first_token_seconds", "request_queue_time_seconds", "request_prefill_time_seconds", "e2e_request_latency_seconds"])
        {
            Assert.Equal(3, page.Count($"vllm:{name}"));
        }

        Assert.Equal(3, page.Count("tessera_time_per_output_token_seconds"));
        Assert.Equal(generated - 3, page.Count("tessera_inter_token_seconds"));
        Assert.Equal(6, page.Count("tessera_request_tokens"));
    }

    [Fact]
    public async Task Metrics_LatentGenerations_CountSpansSavingsAndBudgetHits()
    {
        await using var server = await TestServer.StartAsync();

        await server.CompleteAsync(TestServer.Body(Latent));
        await server.CompleteAsync(TestServer.Body(""" "reasoning":{"mode":"latent","latent_budget":1} """));
        await server.CompleteAsync(TestServer.Body(""" "reasoning":{"mode":"text","thinking_budget":2} """));
        await server.CompleteAsync(TestServer.Body(Text + ",\"max_tokens\":3"));
        var page = await server.MetricsAsync(page => page.Sum("tessera_requests_total") == 4);

        Assert.Equal(2, page.Value("tessera_latent_spans_total"));
        Assert.Equal(15, page.Value("tessera_latent_text_equivalent_tokens_total"));
        // Hints of 5 tokens: 10 - 2 latents - 2 delimiters, and 5 - 1 - 2.
        Assert.Equal(8, page.Value("tessera_saved_tokens", ("basis", "estimated")));
        Assert.Equal(8 * 1024, page.Value("tessera_saved_kv_bytes", ("basis", "estimated")));
        Assert.Equal(1, page.Value("tessera_budget_hits_total", ("budget", "latent")));
        Assert.Equal(1, page.Value("tessera_budget_hits_total", ("budget", "thinking")));
        Assert.Equal(1, page.Value("tessera_budget_hits_total", ("budget", "max_tokens")));
        Assert.Equal(1, page.Value("vllm:request_success_total", ("finished_reason", "length")));
    }

    [Fact]
    public async Task Metrics_RefusedRequests_AreCountedByReasonAndProtocol()
    {
        await using var server = await TestServer.StartAsync();

        using var badField = await server.PostAsync(TestServer.Body("\"temperature\":-1"));
        using var noRoute = await server.Client.GetAsync("/nowhere");
        await server.FailAsync(new GenerateRequest());
        var page = await server.MetricsAsync(page => page.Sum("tessera_rejections_total") == 3);

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.NotFound), (badField.StatusCode, noRoute.StatusCode));
        Assert.Equal(1, page.Value("tessera_rejections_total", ("protocol", "rest"), ("reason", "invalid_value")));
        Assert.Equal(1, page.Value("tessera_rejections_total", ("protocol", "rest"), ("reason", "not_found")));
        Assert.Equal(1, page.Value("tessera_rejections_total", ("protocol", "grpc"), ("reason", "invalid_value")));
        Assert.Equal(0, page.Sum("tessera_requests_total"));
        Assert.Equal(1, page.Count("tessera_http_request_seconds", ("route", "/v1/chat/completions"), ("method", "POST"), ("status", "400")));
        Assert.Equal(1, page.Count("tessera_http_request_seconds", ("route", "none"), ("status", "404")));
        Assert.Equal(1, page.Count("tessera_grpc_call_seconds", ("method", GrpcCalls.Generate), ("status", "INVALID_ARGUMENT")));
    }

    [Fact]
    public async Task Metrics_NamesThatClientsMakeUp_BecomeNoSeries()
    {
        await using var server = await TestServer.StartAsync();

        using var response = await server.Client.SendAsync(new HttpRequestMessage(new HttpMethod("MADEUP"), "/made/up"));
        await GrpcCalls.AssertTrailersOnlyAsync(
            await server.SendAsync("/made.Up/Method", []), GrpcStatusCode.Unimplemented, "unknown service in path '/made.Up/Method'");
        var page = await server.MetricsAsync(page => page.Sum("tessera_rejections_total") == 2);

        Assert.Equal(1, page.Count("tessera_http_request_seconds", ("method", "_OTHER"), ("route", "none")));
        Assert.Equal(1, page.Count("tessera_grpc_call_seconds", ("method", "none"), ("status", "UNIMPLEMENTED")));
    }

    [Fact]
    public async Task Metrics_WhileARequestRuns_ShowItAndItsPositions()
    {
        await using var server = await TestServer.StartAsync(engine: new() { MaxSlots = 1 });
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        var running = server.CompleteAsync(TestServer.Body());
        await gate.WhenArrivedAsync();
        var waiting = server.CompleteAsync(TestServer.Body());
        gate.Allow();
        await server.WaitForStatusAsync(status => status is { WaitingCount: 1, KvPositionsInUse: > 0 });

        var page = await server.MetricsAsync();
        gate.Open();
        await Task.WhenAll(running, waiting);
        var after = await server.MetricsAsync(page => page.Value("tessera_kv_cache_positions_in_use") == 0);

        Assert.Equal((1, 1), (page.Value("vllm:num_requests_running"), page.Value("vllm:num_requests_waiting")));
        Assert.Equal(page.Value("tessera_kv_cache_positions_in_use") * 1024, page.Value("tessera_kv_cache_bytes_in_use"));
        Assert.Equal(
            page.Value("tessera_kv_cache_positions_in_use") / page.Value("tessera_kv_cache_positions_capacity"), page.Value("vllm:kv_cache_usage_perc"), 12);
        Assert.Equal(0, after.Value("tessera_requests_running"));
        Assert.True(after.Value("tessera_kv_cache_bytes_peak") >= page.Value("tessera_kv_cache_bytes_in_use"));
    }

    [Fact]
    public async Task Metrics_ClientGoesAway_CountsTheGenerationAsCancelled()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();
        using var gone = new CancellationTokenSource();
        var request = server.PostAsync(TestServer.Body(), cancellation: gone.Token);
        await gate.WhenArrivedAsync();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        // The cancellation is with the engine before its thread goes on.
        await server.WaitForLogAsync("abandoned");
        gate.Open();

        var page = await server.MetricsAsync(page => page.Sum("tessera_requests_total") == 1);

        Assert.Equal(1, page.Value("tessera_requests_total", ("outcome", "cancelled")));
        Assert.Equal(1, page.Count("tessera_request_seconds", ("error", "cancelled")));
    }

    [Fact]
    public void Catalog_EveryFamily_IsInTheReference()
    {
        var reference = File.ReadAllText(Path.Combine(RepositoryFolder.Path, "docs", "reference", "metrics.md"));

        Assert.All(MetricCatalog.For("any"), family => Assert.Contains($"`{family.Name}`", reference, StringComparison.Ordinal));
    }
}
