using System.Text;
using Tessera.Engine;
using Tessera.Server.Telemetry.Prometheus;

namespace Tessera.Server.Telemetry;

/// <summary><c>GET /metrics</c>: everything that is measured, in Prometheus' text format.</summary>
internal sealed class MetricsEndpoint(MetricStore store, InferenceEngine engine)
{
    private readonly IReadOnlyList<MetricFamily> _families = MetricCatalog.For(engine.Package.Manifest.Name);

    /// <summary>Writes all families that have an instrument here.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        var bytes = Encoding.UTF8.GetBytes(Write());
        context.Response.ContentType = PrometheusText.ContentType;
        context.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
        }
    }

    private string Write()
    {
        var instruments = store.Collect();
        var text = new PrometheusText();
        foreach (var family in _families)
        {
            if (instruments.TryGetValue(family.Instrument, out var record))
            {
                text.Write(family, record);
            }
        }

        return text.ToString();
    }
}
