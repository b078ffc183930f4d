using Tessera.Engine.Requests;
using Tessera.Protos.Grpc;

namespace Tessera.Server.Telemetry;

/// <summary>Values of tags: closed lists, so that no client can make series.</summary>
internal static class MetricNames
{
    private static readonly HashSet<string> Methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"];

    /// <summary>How a generation ended: stop, length, cancelled, error, shutdown.</summary>
    public static string Of(FinishReason reason) => SnakeCase(reason.ToString());

    /// <summary>A reasoning mode: auto, latent, text, none.</summary>
    public static string Of(ReasoningMode mode) => SnakeCase(mode.ToString());

    /// <summary>A gRPC status as its specification spells it.</summary>
    public static string Of(GrpcStatusCode status) => status == GrpcStatusCode.OK ? "OK" : SnakeCase(status.ToString()).ToUpperInvariant();

    /// <summary>An HTTP method; what is none is <c>_OTHER</c>.</summary>
    public static string OfMethod(string method) => Methods.Contains(method) ? method : "_OTHER";

    private static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));
}
