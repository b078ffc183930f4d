using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Tessera.Engine;
using Tessera.Engine.Telemetry;
using Tessera.Server.Hosting;

namespace Tessera.Server.Telemetry;

/// <summary>Sends traces and metrics to an OpenTelemetry collector. Only made when an endpoint is configured: the server opens no connection otherwise.</summary>
internal sealed class TelemetryExport : IDisposable
{
    private readonly TracerProvider _traces;
    private readonly MeterProvider _metrics;

    /// <summary>Begins to send.</summary>
    public TelemetryExport(TelemetryOptions options, InferenceEngine engine, ServerMetrics metrics)
    {
        var resource = ResourceBuilder.CreateEmpty().AddService(options.ServiceName, serviceVersion: ServerCommand.Version, autoGenerateServiceInstanceId: true)
            .AddTelemetrySdk();
        _traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .SetSampler(new ParentBasedSampler(new TraceIdRatioBasedSampler(options.TraceFraction)))
            .AddSource(RequestSpans.SourceName, EngineActivities.SourceName)
            .AddOtlpExporter(exporter => Configure(exporter, options, "v1/traces"))
            .Build();
        _metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource)
            .AddMeter(ServerMetrics.MeterName, EngineMeter.MeterName)
            // Several hosts of one process have meters of one name.
            .AddView(instrument => instrument.Meter == metrics.Meter || instrument.Meter == engine.Telemetry.Meter ? null : MetricStreamConfiguration.Drop)
            .AddOtlpExporter((exporter, reader) =>
            {
                Configure(exporter, options, "v1/metrics");
                reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = options.MetricsSeconds * 1000;
            })
            .Build();
    }

    /// <summary>Sends what is left, for a few seconds at most.</summary>
    public void Dispose()
    {
        _traces.Dispose();
        _metrics.Dispose();
    }

    private static void Configure(OtlpExporterOptions exporter, TelemetryOptions options, string path)
    {
        exporter.Protocol = options.OtlpProtocol == OtlpProtocol.Grpc ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        var endpoint = new Uri(options.OtlpEndpoint.TrimEnd('/') + "/");
        exporter.Endpoint = options.OtlpProtocol == OtlpProtocol.Grpc ? endpoint : new Uri(endpoint, path);
        exporter.Headers = options.OtlpHeaders;
    }
}
