using System.Text.Json.Serialization.Metadata;

namespace Tessera.Server.Api.Rest.Describing;

/// <summary>What the OpenAPI document says about a route.</summary>
/// <param name="OperationId">Name for generated clients.</param>
/// <param name="Summary">One line.</param>
internal sealed record RouteDescription(string OperationId, string Summary)
{
    /// <summary>Fields of the JSON body; empty for a route without one.</summary>
    public IReadOnlyList<BodyField> Body { get; init; } = [];

    /// <summary>Type of the answer; null when it is no JSON.</summary>
    public JsonTypeInfo? Answer { get; init; }

    /// <summary>Type of the data of server-sent events; null when the route never streams.</summary>
    public JsonTypeInfo? StreamedEvent { get; init; }

    /// <summary>Media type of an answer that is no JSON.</summary>
    public string? OtherMediaType { get; init; }

    /// <summary>Errors beside those that every route can have.</summary>
    public IReadOnlyList<ErrorKind> Errors { get; init; } = [];
}
