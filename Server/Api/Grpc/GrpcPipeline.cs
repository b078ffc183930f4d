using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Api.Grpc;

/// <summary>The gRPC front: all services behind one request delegate, for whatever comes in on the HTTP/2 port.</summary>
internal static class GrpcPipeline
{
    /// <summary>Builds the pipeline from the host's services.</summary>
    public static RequestDelegate Build(IServiceProvider services)
    {
        var dispatcher = new GrpcDispatcher(
            GrpcMethods.Create(services),
            services.GetRequiredService<LiveOptions>(),
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<AccessControl>(),
            services.GetRequiredService<ServerMetrics>(),
            services.GetRequiredService<ILoggerFactory>().CreateLogger("Tessera.Server.Grpc"));
        return dispatcher.HandleAsync;
    }
}
