using Tessera.Protos.Grpc;
using Tessera.Protos.Rpc;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>What <c>grpc-status-details-bin</c> of a status holds.</summary>
internal sealed record StatusDetails(Status Status, string? Reason, IReadOnlyList<BadRequest.Types.FieldViolation> Violations, TimeSpan? RetryDelay)
{
    /// <summary>Reads the details; there must be some, for the code and message of the status.</summary>
    public static StatusDetails Of(GrpcStatusException error)
    {
        var header = error.GetTrailer("grpc-status-details-bin")!;
        var status = Status.Parser.ParseFrom(Convert.FromBase64String(header + new string('=', (4 - (header.Length % 4)) % 4)));
        Assert.Equal(((int)error.Code, error.Detail), (status.Code, status.Message));
        string? reason = null;
        List<BadRequest.Types.FieldViolation> violations = [];
        TimeSpan? retry = null;
        foreach (var detail in status.Details)
        {
            if (detail.TryUnpack<ErrorInfo>(out var info))
            {
                Assert.Equal("tessera", info.Domain);
                reason = info.Reason;
            }
            else if (detail.TryUnpack<BadRequest>(out var bad))
            {
                violations.AddRange(bad.FieldViolations);
            }
            else if (detail.TryUnpack<RetryInfo>(out var wait))
            {
                retry = wait.RetryDelay.ToTimeSpan();
            }
            else
            {
                Assert.Fail($"unknown detail {detail.TypeUrl}");
            }
        }

        return new(status, reason, violations, retry);
    }
}
