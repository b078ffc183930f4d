using Tessera.Engine;
using Tessera.Protos.Grpc;
using Tessera.Protos.Health.V1;
using static Tessera.Protos.Health.V1.HealthCheckResponse.Types;

namespace Tessera.Server.Api.Grpc;

/// <summary><c>grpc.health.v1.Health</c>: whether the server and its service take requests, from the step loop's heartbeat.</summary>
internal sealed class HealthService(InferenceEngine engine, Readiness readiness, TimeProvider timeProvider)
{
    /// <summary>Full name of the service.</summary>
    public const string ServiceName = "grpc.health.v1.Health";

    // A balancer learns of a change within this time; looking costs a few reads.
    private static readonly TimeSpan WatchInterval = TimeSpan.FromMilliseconds(500);

    /// <summary>Methods of the service.</summary>
    public IReadOnlyList<GrpcMethod> Methods => [new(ServiceName, "Check", CheckAsync) { IsOpen = true }, new(ServiceName, "Watch", WatchAsync) { IsOpen = true }];

    private async Task CheckAsync(GrpcServerCall call)
    {
        var request = await call.ReadRequestAsync(HealthCheckRequest.Parser).ConfigureAwait(false);
        if (!IsKnown(request.Service))
        {
            throw new GrpcStatusException(
                GrpcStatusCode.NotFound, $"service: expected '' or '{InferenceService.ServiceName}', found '{Echo.Shorten(request.Service)}'");
        }

        call.Write(new HealthCheckResponse { Status = GetStatus() });
        await call.FlushAsync().ConfigureAwait(false);
    }

    // An unknown service is a status here, not an error: the specification of the health service says so.
    private async Task WatchAsync(GrpcServerCall call)
    {
        var request = await call.ReadRequestAsync(HealthCheckRequest.Parser).ConfigureAwait(false);
        var known = IsKnown(request.Service);
        var last = ServingStatus.Unknown;
        while (true)
        {
            var ends = engine.GetStatus().State is EngineState.Draining or EngineState.Stopped;
            var now = known ? GetStatus() : ServingStatus.ServiceUnknown;
            if (now != last)
            {
                call.Write(new HealthCheckResponse { Status = now });
                await call.FlushAsync().ConfigureAwait(false);
                last = now;
            }

            if (ends)
            {
                // An open watch would hold the server's shutdown up.
                throw GrpcFailure.ToStatus(ApiFailure.ShuttingDown);
            }

            await Task.Delay(WatchInterval, timeProvider, call.Ended).ConfigureAwait(false);
        }
    }

    private ServingStatus GetStatus() => readiness.Refusal() is null ? ServingStatus.Serving : ServingStatus.NotServing;

    private static bool IsKnown(string service) => service is "" or InferenceService.ServiceName;
}
