using Tessera.Server.Api.Rest.Describing;

namespace Tessera.Server.Api.Rest;

/// <summary>One route of the REST port.</summary>
/// <param name="Methods">HTTP methods that it answers.</param>
/// <param name="Pattern">Pattern of ASP.NET Core's routing.</param>
/// <param name="HandleAsync">Answers a request.</param>
internal sealed record RestRoute(IReadOnlyList<string> Methods, string Pattern, RequestDelegate HandleAsync)
{
    /// <summary>Whether the route is served to callers without a key.</summary>
    public bool IsOpen { get; init; }

    /// <summary>What the OpenAPI document says about it; null for what is no part of the API, such as the files of the page.</summary>
    public RouteDescription? About { get; init; }

    /// <summary>A route for reading.</summary>
    public static RestRoute Get(string pattern, RequestDelegate handle) => new(["GET", "HEAD"], pattern, handle);

    /// <summary>A route that takes a body.</summary>
    public static RestRoute Post(string pattern, RequestDelegate handle) => new(["POST"], pattern, handle);
}
