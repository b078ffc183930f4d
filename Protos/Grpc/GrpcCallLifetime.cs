using System.Net;

namespace Tessera.Protos.Grpc;

/// <summary>Holds a call's deadline and turns what HTTP throws into a status.</summary>
internal sealed class GrpcCallLifetime : IDisposable
{
    private readonly CancellationTokenSource _deadline = new();

    public GrpcCallLifetime(TimeSpan? deadline)
    {
        if (deadline is { } time)
        {
            _deadline.CancelAfter(TimeSpan.FromTicks(Math.Clamp(time.Ticks, 0, GrpcTimeout.Longest.Ticks)));
        }
    }

    /// <summary>Runs a part of the call under the deadline and the caller's token.</summary>
    /// <exception cref="OperationCanceledException">The caller's token was cancelled.</exception>
    /// <exception cref="GrpcStatusException">DEADLINE_EXCEEDED, or what the connection's failure means.</exception>
    public async Task<TResult> GuardAsync<TResult>(Func<CancellationToken, Task<TResult>> part, CancellationToken cancellationToken)
    {
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(_deadline.Token, cancellationToken);
        try
        {
            return await part(linked.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not GrpcStatusException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_deadline.IsCancellationRequested)
            {
                throw new GrpcStatusException(GrpcStatusCode.DeadlineExceeded, "the deadline passed", innerException: e);
            }

            throw FromTransport(e);
        }
    }

    public void Dispose() => _deadline.Dispose();

    private static Exception FromTransport(Exception e)
    {
        for (var cause = e; cause is not null; cause = cause.InnerException)
        {
            if (cause is HttpProtocolException protocol)
            {
                return new GrpcStatusException(
                    GrpcStatusReader.FromReset(protocol.ErrorCode), $"the stream was reset (HTTP/2 error {protocol.ErrorCode})", innerException: e);
            }
        }

        return e is HttpRequestException or IOException
            ? new GrpcStatusException(GrpcStatusCode.Unavailable, "the server cannot be reached or the connection broke", innerException: e)
            : e;
    }
}
