using Tessera.Engine;
using Tessera.Server.Api.Operations;

namespace Tessera.Server.Api.Rest;

/// <summary><c>GET /v1/models</c> and <c>GET /v1/models/{id}</c>.</summary>
internal sealed class ModelsEndpoint(InferenceEngine engine, InfoReport report)
{
    private readonly ModelEntry _entry = new(
        engine.Package.Manifest.Name, "model", report.Created, "tessera", engine.Package.Manifest.Architecture.MaxPositions);

    /// <summary>Lists the served model.</summary>
    public Task ListAsync(HttpContext context) => RestResponse.WriteAsync(context, new ModelList("list", [_entry]), RestJson.Wire.ModelList);

    /// <summary>Describes one model.</summary>
    public Task GetAsync(HttpContext context)
    {
        var id = (string?)context.GetRouteValue("id") ?? "";
        return id == _entry.Id
            ? RestResponse.WriteAsync(context, _entry, RestJson.Wire.ModelEntry)
            : RestResponse.WriteErrorAsync(context, ApiFailure.UnknownModel(id, _entry.Id));
    }
}
