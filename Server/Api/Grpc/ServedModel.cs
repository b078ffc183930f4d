using Tessera.Engine;

namespace Tessera.Server.Api.Grpc;

/// <summary>The one model behind every method.</summary>
internal sealed class ServedModel(InferenceEngine engine)
{
    /// <summary>Its name.</summary>
    public string Name { get; } = engine.Package.Manifest.Name;

    /// <summary>Refuses a request for another model; an empty name asks for the served one.</summary>
    /// <exception cref="Protos.Grpc.GrpcStatusException">NOT_FOUND.</exception>
    public void Require(string asked)
    {
        if (asked.Length > 0 && asked != Name)
        {
            throw GrpcFailure.ToStatus(ApiFailure.UnknownModel(asked, Name));
        }
    }
}
