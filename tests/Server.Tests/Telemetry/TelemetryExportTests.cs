using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Tessera.Protos.Grpc;
using Tessera.Server.Tests.Api.Grpc;
using Tessera.Server.Tests.Otlp;
using Tessera.Server.Tests.Support;
using ReasoningMode = Tessera.Protos.V1.ReasoningMode;

namespace Tessera.Server.Tests.Telemetry;

/// <summary>What a collector gets. Everything that is left is sent when the server stops.</summary>
public sealed class TelemetryExportTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string CallerSpanId = "b7ad6b7169203331";
    private const string TraceParent = $"00-{TraceId}-{CallerSpanId}-01";
    private const int Internal = 1;
    private const int Server = 2;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Traces_LatentRequest_HaveServerQueuePrefillDecodeAndCodebookUnderTheCaller(bool overGrpc)
    {
        await using var collector = await OtlpCollector.StartAsync(overGrpc ? HttpProtocols.Http2 : HttpProtocols.Http1);
        string response;
        await using (var server = await StartAsync(collector, overGrpc ? OtlpProtocol.Grpc : OtlpProtocol.Http))
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
            {
                Content = new StringContent(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}"), null, "application/json"),
            };
            request.Headers.Add("traceparent", TraceParent);
            using var answer = await server.Client.SendAsync(request);
            response = answer.Headers.GetValues("traceresponse").Single();
        }

        var spans = collector.Spans.Where(span => Hex(span.TraceId) == TraceId).ToList();
        Assert.Equal(["chat tiny", "codebook decode", "decode", "prefill", "queue"], spans.Select(span => span.Name).Order());
        var root = spans.Single(span => span.Kind == Server);
        Assert.Equal((CallerSpanId, "chat tiny"), (Hex(root.ParentSpanId), root.Name));
        Assert.Equal($"00-{TraceId}-{Hex(root.SpanId)}-01", response);
        Assert.All(spans.Where(span => span != root), span => Assert.Equal((Internal, root.SpanId), (span.Kind, span.ParentSpanId)));
        var (queue, prefill, decode) = (Named(spans, "queue"), Named(spans, "prefill"), Named(spans, "decode"));
        Assert.Equal(queue.EndTimeUnixNano, prefill.StartTimeUnixNano);
        Assert.InRange((long)decode.StartTimeUnixNano - (long)prefill.EndTimeUnixNano, -1000, 1000);
        Assert.True(decode.EndTimeUnixNano > decode.StartTimeUnixNano);
        Assert.Equal("2", Attribute(Named(spans, "codebook decode").Attributes, "tessera.latent.count"));
    }

    [Fact]
    public async Task Traces_LatentRequest_FollowTheGenAiConventions()
    {
        await using var collector = await OtlpCollector.StartAsync();
        int completionTokens;
        await using (var server = await StartAsync(collector))
        {
            var body = TestServer.Body("\"reasoning\":{\"mode\":\"latent\"},\"temperature\":0.5,\"seed\":7,\"max_tokens\":40");
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, null, "application/json") };
            request.Headers.Add("traceparent", TraceParent);
            using var answer = await server.Client.SendAsync(request);
            completionTokens = (int)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["usage"]!["completion_tokens"]!;
        }

        var attributes = collector.Spans.Single(span => Hex(span.TraceId) == TraceId && span.Name == "chat tiny").Attributes;
        Assert.Equal("chat", Attribute(attributes, "gen_ai.operation.name"));
        Assert.Equal("tessera", Attribute(attributes, "gen_ai.provider.name"));
        Assert.Equal("tiny", Attribute(attributes, "gen_ai.request.model"));
        Assert.Equal("0.5", Attribute(attributes, "gen_ai.request.temperature"));
        Assert.Equal("7", Attribute(attributes, "gen_ai.request.seed"));
        Assert.Equal("40", Attribute(attributes, "gen_ai.request.max_tokens"));
        Assert.Equal($"{completionTokens}", Attribute(attributes, "gen_ai.usage.output_tokens"));
        Assert.Equal("5", Attribute(attributes, "gen_ai.usage.reasoning.output_tokens"));
        Assert.Equal("2", Attribute(attributes, "tessera.usage.latent_tokens"));
        Assert.Equal("stop", Attribute(attributes, "gen_ai.response.finish_reasons"));
        Assert.Equal(("POST", "/v1/chat/completions", "200"), (Attribute(attributes, "http.request.method"), Attribute(attributes, "http.route"), Attribute(attributes, "http.response.status_code")));
        Assert.DoesNotContain(attributes, attribute => attribute.Value.StringValue.Contains("wumpus", StringComparison.Ordinal));
        Assert.All(collector.Resources, resource => Assert.Equal("tests", Attribute(resource.Attributes, "service.name")));
        Assert.All(collector.Keys, key => Assert.Equal("secret", key));
    }

    [Fact]
    public async Task Traces_GrpcCall_IsUnderItsCallerToo()
    {
        await using var collector = await OtlpCollector.StartAsync();
        await using (var server = await StartAsync(collector))
        {
            var frame = GrpcCalls.Frame(GrpcCalls.NewRequest(ReasoningMode.Text));
            using var answer = await server.SendAsync(GrpcCalls.Generate, frame, request => request.Headers.Add("traceparent", TraceParent));
        }

        var spans = collector.Spans.Where(span => Hex(span.TraceId) == TraceId).ToList();
        Assert.Equal(["decode", "generate_content tiny", "prefill", "queue"], spans.Select(span => span.Name).Order());
        var root = spans.Single(span => span.Kind == Server);
        Assert.Equal(CallerSpanId, Hex(root.ParentSpanId));
        Assert.Equal((GrpcCalls.Generate, "OK"), (Attribute(root.Attributes, "rpc.method"), Attribute(root.Attributes, "rpc.response.status_code")));
    }

    [Theory]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]
    [InlineData("nonsense")]
    [InlineData("00-00000000000000000000000000000000-0000000000000000-01")]
    public async Task Traces_CallerDoesNotWantOneOrSendsNonsense_RequestIsAnsweredAllTheSame(string traceParent)
    {
        await using var collector = await OtlpCollector.StartAsync();
        await using (var server = await StartAsync(collector))
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/version");
            request.Headers.TryAddWithoutValidation("traceparent", traceParent);
            using var answer = await server.Client.SendAsync(request);
            Assert.True(answer.IsSuccessStatusCode);
        }

        Assert.DoesNotContain(collector.Spans, span => Hex(span.ParentSpanId) == CallerSpanId);
    }

    [Fact]
    public async Task Metrics_Generations_ArriveWithTheNamesUnitsAndBucketsOfGenAi()
    {
        await using var collector = await OtlpCollector.StartAsync();
        int prompt, completion;
        await using (var server = await StartAsync(collector))
        {
            var usage = (await server.CompleteAsync(TestServer.Body("\"reasoning\":{\"mode\":\"latent\"}")))["usage"]!;
            (prompt, completion) = ((int)usage["prompt_tokens"]!, (int)usage["completion_tokens"]!);
            await server.MetricsAsync(page => page.Sum("tessera_requests_total") == 1);
        }

        var metrics = collector.Metrics;
        foreach (var (name, unit, bound) in ((string, string, double)[])
            [("gen_ai.server.request.duration", "s", .01), ("gen_ai.server.time_to_first_token", "s", .001), ("gen_ai.server.time_per_output_token", "s", .0005)])
        {
            var point = Assert.Single(metrics[name].Histogram.DataPoints);
            Assert.Equal((unit, 1ul, bound), (metrics[name].Unit, point.Count, point.ExplicitBounds[0]));
            Assert.Equal(("chat", "tessera", "tiny"), (Attribute(point.Attributes, "gen_ai.operation.name"), Attribute(point.Attributes, "gen_ai.provider.name"), Attribute(point.Attributes, "gen_ai.request.model")));
        }

        var tokens = metrics["gen_ai.client.token.usage"].Histogram.DataPoints.ToDictionary(point => Attribute(point.Attributes, "gen_ai.token.type")!, point => point.Sum);
        Assert.Equal((prompt, completion), (tokens["input"], tokens["output"]));
        Assert.Equal(2, metrics["tessera.tokens"].Sum.DataPoints.Single(point => Attribute(point.Attributes, "kind") == "latent").AsInt);
        Assert.Equal((ulong)completion - 1, Assert.Single(metrics["tessera.inter_token_time"].Histogram.DataPoints).Count);
        Assert.Contains("tessera.kv_cache_bytes_in_use", metrics.Keys);
    }

    [Fact]
    public async Task Default_NoEndpoint_NothingIsTraced()
    {
        await using var server = await TestServer.StartAsync();

        using var answer = await server.PostAsync(TestServer.Body());

        Assert.Null(server.Host.Services.GetService(typeof(Tessera.Server.Telemetry.TelemetryExport)));
    }

    private static Task<TestServer> StartAsync(OtlpCollector collector, OtlpProtocol protocol = OtlpProtocol.Http) => TestServer.StartAsync(options: new TesseraOptions
    {
        Telemetry = new() { OtlpEndpoint = collector.Address.ToString(), OtlpProtocol = protocol, OtlpHeaders = "x-key=secret", ServiceName = "tests" },
    });

    private static Span Named(List<Span> spans, string name) => spans.Single(span => span.Name == name);

    private static string Hex(Google.Protobuf.ByteString bytes) => Convert.ToHexStringLower(bytes.Span);

    private static string? Attribute(IEnumerable<KeyValue> attributes, string key) => attributes.FirstOrDefault(attribute => attribute.Key == key)?.Value switch
    {
        null => null,
        { ValueCase: AnyValue.ValueOneofCase.IntValue } value => $"{value.IntValue}",
        { ValueCase: AnyValue.ValueOneofCase.DoubleValue } value => FormattableString.Invariant($"{value.DoubleValue}"),
        { ValueCase: AnyValue.ValueOneofCase.ArrayValue } value => string.Join(',', value.ArrayValue.Values.Select(item => item.StringValue)),
        var value => value.StringValue,
    };
}
