using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Tessera.Protos.Grpc;
using Tessera.Server.Tests.Otlp;

namespace Tessera.Server.Tests.Telemetry;

/// <summary>A small OpenTelemetry collector in this process: keeps what is sent, over HTTP or gRPC.</summary>
internal sealed class OtlpCollector : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<TracesRequest> _traces = new();
    private readonly ConcurrentQueue<MetricsRequest> _metrics = new();
    private readonly ConcurrentQueue<string> _keys = new();

    private OtlpCollector(HttpProtocols protocols)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listener => listener.Protocols = protocols));
        _app = builder.Build();
        _app.Run(ReceiveAsync);
    }

    public Uri Address { get; private set; } = null!;

    public IReadOnlyList<Span> Spans => [.. _traces.SelectMany(request => request.ResourceSpans).SelectMany(resource => resource.ScopeSpans).SelectMany(scope => scope.Spans)];

    /// <summary>Metrics of the last sending that has them, by name.</summary>
    public IReadOnlyDictionary<string, Metric> Metrics =>
        _metrics.SelectMany(request => request.ResourceMetrics).SelectMany(resource => resource.ScopeMetrics).SelectMany(scope => scope.Metrics)
            .GroupBy(metric => metric.Name).ToDictionary(group => group.Key, group => group.Last());

    public IReadOnlyList<Resource> Resources =>
        [.. _traces.SelectMany(request => request.ResourceSpans).Select(spans => spans.Resource), .. _metrics.SelectMany(request => request.ResourceMetrics).Select(metrics => metrics.Resource)];

    /// <summary>What came in the header x-key.</summary>
    public IReadOnlyList<string> Keys => [.. _keys];

    public static async Task<OtlpCollector> StartAsync(HttpProtocols protocols = HttpProtocols.Http1)
    {
        var collector = new OtlpCollector(protocols);
        await collector._app.StartAsync();
        var addresses = collector._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        collector.Address = new Uri(addresses.Single());
        return collector;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task ReceiveAsync(HttpContext context)
    {
        using var buffer = new MemoryStream();
        await context.Request.Body.CopyToAsync(buffer);
        _keys.Enqueue(context.Request.Headers["x-key"].ToString());
        var isGrpc = GrpcHeaders.IsGrpcContentType(context.Request.ContentType);
        // A gRPC message follows its flag and its length.
        var message = ByteString.CopyFrom(buffer.ToArray().AsSpan(isGrpc ? 5 : 0));
        switch (context.Request.Path.Value)
        {
            case "/v1/traces" or "/opentelemetry.proto.collector.trace.v1.TraceService/Export":
                _traces.Enqueue(TracesRequest.Parser.ParseFrom(message));
                break;
            case "/v1/metrics" or "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export":
                _metrics.Enqueue(MetricsRequest.Parser.ParseFrom(message));
                break;
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
        }

        context.Response.ContentType = isGrpc ? GrpcHeaders.ContentType : "application/x-protobuf";
        if (isGrpc)
        {
            await context.Response.Body.WriteAsync(new byte[5]);
            context.Response.AppendTrailer("grpc-status", "0");
        }
    }
}
