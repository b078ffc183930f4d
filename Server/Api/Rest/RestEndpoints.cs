using Tessera.Server.Api.Page;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>The REST routes.</summary>
internal static class RestEndpoints
{
    /// <summary>Maps every route.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        var chat = ActivatorUtilities.CreateInstance<ChatEndpoint>(services);
        var models = ActivatorUtilities.CreateInstance<ModelsEndpoint>(services);
        var metrics = ActivatorUtilities.CreateInstance<MetricsEndpoint>(services);
        var status = ActivatorUtilities.CreateInstance<StatusEndpoints>(services);

        PageEndpoints.Map(routes);
        routes.MapPost("/v1/chat/completions", chat.HandleAsync);
        routes.MapMethods("/v1/models", Readable, models.ListAsync);
        routes.MapMethods("/v1/models/{**id}", Readable, models.GetAsync);
        routes.MapMethods("/health/live", Readable, status.LiveAsync);
        routes.MapMethods("/health/ready", Readable, status.ReadyAsync);
        routes.MapMethods("/metrics", Readable, metrics.HandleAsync);
        routes.MapMethods("/info", Readable, status.InfoAsync);
    }

    private static readonly string[] Readable = ["GET", "HEAD"];
}
