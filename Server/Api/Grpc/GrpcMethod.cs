namespace Tessera.Server.Api.Grpc;

/// <summary>A method that clients can call.</summary>
/// <param name="Service">Full name of the service, for example <c>grpc.health.v1.Health</c>.</param>
/// <param name="Name">Name of the method; case matters.</param>
/// <param name="HandleAsync">Reads the request, writes the responses; an exception becomes the status.</param>
internal sealed record GrpcMethod(string Service, string Name, Func<GrpcServerCall, Task> HandleAsync)
{
    /// <summary>Whether anybody may call it; every other method needs a key, unless the server is open.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Path of the HTTP/2 request.</summary>
    public string Path => $"/{Service}/{Name}";
}
