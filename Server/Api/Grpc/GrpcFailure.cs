using System.Globalization;
using Tessera.Protos.Grpc;

namespace Tessera.Server.Api.Grpc;

/// <summary>Turns the errors of both fronts into gRPC statuses.</summary>
internal static class GrpcFailure
{
    /// <summary>The status of a failure; when to retry goes into a trailer that clients with a retry policy read.</summary>
    public static GrpcStatusException ToStatus(ApiFailure failure) =>
        new(failure.Entry.GrpcStatus, failure.Message, failure.RetryAfter is { } wait ? [RetryPushback(wait)] : null) { Reason = failure.Entry.Code };

    private static KeyValuePair<string, string> RetryPushback(TimeSpan wait) =>
        new(GrpcHeaders.RetryPushback, ((int)Math.Clamp(Math.Ceiling(wait.TotalMilliseconds), 0, int.MaxValue)).ToString(CultureInfo.InvariantCulture));
}
