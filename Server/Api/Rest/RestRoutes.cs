using Tessera.Server.Api.Page;
using Tessera.Server.Api.Rest.Describing;
using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Rest;

/// <summary>Every route of the REST port, in one table: what is mapped, guarded, documented and tested.</summary>
internal static class RestRoutes
{
    /// <summary>Builds the table.</summary>
    public static IReadOnlyList<RestRoute> Create(IServiceProvider services)
    {
        var models = ActivatorUtilities.CreateInstance<ModelsEndpoint>(services);
        var tokens = ActivatorUtilities.CreateInstance<TokenEndpoints>(services);
        var latents = ActivatorUtilities.CreateInstance<LatentEndpoints>(services);
        var metrics = ActivatorUtilities.CreateInstance<MetricsEndpoint>(services);
        var status = ActivatorUtilities.CreateInstance<StatusEndpoints>(services);
        var openApi = new OpenApiEndpoint();
        IReadOnlyList<RestRoute> routes =
        [
            .. PageEndpoints.Routes,
            RestRoute.Post("/v1/chat/completions", Generating(services, new ChatApi())) with { About = RouteDescriptions.Chat },
            RestRoute.Post("/v1/completions", Generating(services, new CompletionsApi(services.GetRequiredService<LiveOptions>()))) with { About = RouteDescriptions.Completion },
            RestRoute.Post("/v1/responses", Generating(services, new ResponsesApi())) with { About = RouteDescriptions.Response },
            RestRoute.Get("/v1/models", models.ListAsync) with { About = RouteDescriptions.ListModels },
            RestRoute.Get("/v1/models/{**id}", models.GetAsync) with { About = RouteDescriptions.GetModel },
            RestRoute.Post("/v1/latents/decode", latents.DecodeAsync) with { About = RouteDescriptions.DecodeLatents },
            RestRoute.Post("/v1/latents/encode", latents.EncodeAsync) with { About = RouteDescriptions.EncodeTrace },
            RestRoute.Post("/tokenize", tokens.TokenizeAsync) with { About = RouteDescriptions.Tokenize },
            RestRoute.Post("/detokenize", tokens.DetokenizeAsync) with { About = RouteDescriptions.Detokenize },
            RestRoute.Get("/metrics", metrics.HandleAsync) with { About = RouteDescriptions.Metrics },
            RestRoute.Get("/info", status.InfoAsync) with { About = RouteDescriptions.Info },
            RestRoute.Get("/version", StatusEndpoints.VersionAsync) with { About = RouteDescriptions.Version },
            RestRoute.Get("/openapi/v1.json", openApi.HandleAsync) with { About = RouteDescriptions.OpenApi },
            .. Health("/health/live", status.LiveAsync, "live", "Whether a restart would not help"),
            .. Health("/health/ready", status.ReadyAsync, "ready", "Whether requests are taken"),
        ];
        openApi.Describe(routes);
        return routes;
    }

    // Under its own path, and under that of the Open Inference Protocol. Probes have no key.
    private static RestRoute[] Health(string path, RequestDelegate handle, string name, string summary) =>
    [
        RestRoute.Get(path, handle) with { IsOpen = true, About = RouteDescriptions.Health(name, summary) },
        RestRoute.Get($"/v2{path}", handle) with { IsOpen = true, About = RouteDescriptions.Health($"{name}V2", summary) },
    ];

    private static RequestDelegate Generating(IServiceProvider services, IGenerationApi api) =>
        ActivatorUtilities.CreateInstance<GenerationEndpoint>(services, api).HandleAsync;

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
