using System.Globalization;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Tessera.Protos.Grpc;
using Tessera.Protos.Rpc;

namespace Tessera.Server.Api.Grpc;

/// <summary>Turns the errors of both fronts into gRPC statuses.</summary>
internal static class GrpcFailure
{
    /// <summary>Who gives the reasons of <see cref="ErrorInfo"/> their meaning.</summary>
    public const string Domain = "tessera";

    // Some clients take no more than 8 KiB of metadata in all.
    private const int MaxMessageCharacters = 1000;
    private const int MaxDescriptionCharacters = 160;

    /// <summary>
    /// The status of a failure. Its details go into <c>grpc-status-details-bin</c>; when to retry goes into a trailer as well that clients with a retry
    /// policy read.
    /// </summary>
    public static GrpcStatusException ToStatus(ApiFailure failure)
    {
        List<KeyValuePair<string, string>> trailers = [new(GrpcHeaders.StatusDetails, ToHeader(DetailsOf(failure)))];
        if (failure.RetryAfter is { } wait)
        {
            trailers.Add(RetryPushback(wait));
        }
        return new(failure.Entry.GrpcStatus, Echo.Shorten(failure.Message, MaxMessageCharacters), trailers) { Reason = failure.Entry.Code };
    }

    private static Status DetailsOf(ApiFailure failure)
    {
        var status = new Status { Code = (int)failure.Entry.GrpcStatus, Message = Echo.Shorten(failure.Message, MaxMessageCharacters) };
        status.Details.Add(Any.Pack(new ErrorInfo { Reason = failure.Entry.Code, Domain = Domain }));
        if (failure.Problems.Count > 0)
        {
            var bad = new BadRequest();
            bad.FieldViolations.AddRange(failure.Problems.Select(
                problem => new BadRequest.Types.FieldViolation { Field = problem.Field, Description = Echo.Shorten(problem.Message, MaxDescriptionCharacters) }));
            status.Details.Add(Any.Pack(bad));
        }
        else if (failure is { Field: { } field, Entry.GrpcStatus: GrpcStatusCode.InvalidArgument or GrpcStatusCode.NotFound })
        {
            var violation = new BadRequest.Types.FieldViolation { Field = field, Description = Echo.Shorten(failure.Message, MaxDescriptionCharacters) };
            status.Details.Add(Any.Pack(new BadRequest { FieldViolations = { violation } }));
        }
        if (failure.RetryAfter is { } wait)
        {
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(wait) }));
        }
        return status;
    }

    // Binary metadata is base64 without padding; every client takes it so.
    private static string ToHeader(Status status) => Convert.ToBase64String(status.ToByteArray()).TrimEnd('=');

    private static KeyValuePair<string, string> RetryPushback(TimeSpan wait) =>
        new(GrpcHeaders.RetryPushback, ((int)Math.Clamp(Math.Ceiling(wait.TotalMilliseconds), 0, int.MaxValue)).ToString(CultureInfo.InvariantCulture));
}
