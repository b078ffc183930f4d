namespace Tessera.Server.Api.Grpc;

/// <summary>Every method of the gRPC port, in one table: what is dispatched, guarded, reflected and tested.</summary>
internal static class GrpcMethods
{
    /// <summary>Builds the table.</summary>
    public static IReadOnlyList<GrpcMethod> Create(IServiceProvider services)
    {
        var inference = ActivatorUtilities.CreateInstance<InferenceService>(services);
        var tools = ActivatorUtilities.CreateInstance<InferenceToolsService>(services);
        var health = ActivatorUtilities.CreateInstance<HealthService>(services);
        return [.. inference.Methods, .. tools.Methods, .. health.Methods, .. new ReflectionService().Methods];
    }
}
