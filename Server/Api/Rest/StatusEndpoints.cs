using Tessera.Engine;
using Tessera.Server.Api.Operations;
using Tessera.Server.Hosting;

namespace Tessera.Server.Api.Rest;

/// <summary>Health, <c>/info</c> and <c>/version</c>.</summary>
internal sealed class StatusEndpoints(InferenceEngine engine, Readiness readiness, InfoReport report)
{
    /// <summary>200 while a restart would not help.</summary>
    public Task LiveAsync(HttpContext context) => readiness.IsLive
        ? RestResponse.WriteAsync(context, new HealthBody("live"), RestJson.Wire.HealthBody)
        : RestResponse.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, Reason(readiness.Refusal()!), RestJson.Wire.HealthBody);

    /// <summary>200 while requests are taken.</summary>
    public Task ReadyAsync(HttpContext context) => readiness.Refusal() is { } refusal
        ? RestResponse.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, Reason(refusal), RestJson.Wire.HealthBody)
        : RestResponse.WriteAsync(context, new HealthBody("ready"), RestJson.Wire.HealthBody);

    /// <summary>The model, the engine's state, the limits, the process.</summary>
    public Task InfoAsync(HttpContext context) => RestResponse.WriteAsync(context, report.Create(), RestJson.Wire.ServerInfo);

    /// <summary>The version of this build.</summary>
    public static Task VersionAsync(HttpContext context) => RestResponse.WriteAsync(context, new VersionBody(ServerCommand.Version), RestJson.Wire.VersionBody);

    private HealthBody Reason(ApiFailure refusal) =>
        new(engine.GetStatus().State is var state and not EngineState.Ready ? InfoReport.StateName(state) : refusal.Entry.Code, refusal.Message);
}
