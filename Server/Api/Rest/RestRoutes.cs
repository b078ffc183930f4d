using Tessera.Server.Api.Page;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>Every route of the REST port, in one table: what is mapped, guarded, documented and tested.</summary>
internal static class RestRoutes
{
    /// <summary>Builds the table.</summary>
    public static IReadOnlyList<RestRoute> Create(IServiceProvider services)
    {
        var chat = ActivatorUtilities.CreateInstance<ChatEndpoint>(services);
        var models = ActivatorUtilities.CreateInstance<ModelsEndpoint>(services);
        var tokens = ActivatorUtilities.CreateInstance<TokenEndpoints>(services);
        var latents = ActivatorUtilities.CreateInstance<LatentEndpoints>(services);
        var metrics = ActivatorUtilities.CreateInstance<MetricsEndpoint>(services);
        var status = ActivatorUtilities.CreateInstance<StatusEndpoints>(services);
        return
        [
            .. PageEndpoints.Routes,
            RestRoute.Post("/v1/chat/completions", chat.HandleAsync),
            RestRoute.Get("/v1/models", models.ListAsync),
            RestRoute.Get("/v1/models/{**id}", models.GetAsync),
            RestRoute.Post("/v1/latents/decode", latents.DecodeAsync),
            RestRoute.Post("/v1/latents/encode", latents.EncodeAsync),
            RestRoute.Post("/tokenize", tokens.TokenizeAsync),
            RestRoute.Post("/detokenize", tokens.DetokenizeAsync),
            RestRoute.Get("/metrics", metrics.HandleAsync),
            RestRoute.Get("/info", status.InfoAsync),
            RestRoute.Get("/version", StatusEndpoints.VersionAsync),
            RestRoute.Get("/health/live", status.LiveAsync) with { IsOpen = true },
            RestRoute.Get("/health/ready", status.ReadyAsync) with { IsOpen = true },
            RestRoute.Get("/v2/health/live", status.LiveAsync) with { IsOpen = true },
            RestRoute.Get("/v2/health/ready", status.ReadyAsync) with { IsOpen = true },
        ];
    }

    /// <summary>Maps the table.</summary>
    public static void Map(IEndpointRouteBuilder endpoints, IReadOnlyList<RestRoute> routes)
    {
        foreach (var route in routes)
        {
            var mapped = endpoints.MapMethods(route.Pattern, route.Methods, route.HandleAsync);
            _ = route.IsOpen ? mapped.WithMetadata(OpenRoute.Instance) : mapped;
        }
    }
}
