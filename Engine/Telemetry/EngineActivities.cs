using System.Diagnostics;

namespace Tessera.Engine.Telemetry;

/// <summary>Spans of work that the engine does beside the step loop. Nothing is made while nobody listens.</summary>
public static class EngineActivities
{
    /// <summary>Name of the activity source.</summary>
    public const string SourceName = "Tessera.Engine";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>The span of reading one latent span with the codebook decoder.</summary>
    /// <param name="parent">Span of the request; default = none was wanted.</param>
    /// <param name="latentCount">Latents that are read.</param>
    internal static Activity? StartCodebookDecode(ActivityContext parent, int latentCount) =>
        parent == default ? null : Source.StartActivity("codebook decode", ActivityKind.Internal, parent)?.SetTag("tessera.latent.count", latentCount);
}
