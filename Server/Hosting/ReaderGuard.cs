using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Hosting;

/// <summary>Closes connections whose clients do not take what is sent to them, and says so. Answers are sent in pieces: each has the time for readers.</summary>
internal sealed class ReaderGuard(LiveOptions options, TimeProvider timeProvider, ILogger<ReaderGuard> logger)
{
    /// <summary>Watches the connections of a listener.</summary>
    public void Guard(IConnectionBuilder listener) => listener.Use(next => connection => RunAsync(next, connection));

    private async Task RunAsync(ConnectionDelegate next, ConnectionContext connection)
    {
        var transport = connection.Transport;
        connection.Transport = new WatchedTransport(transport, () => StartTime(connection));
        try
        {
            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            connection.Transport = transport;
        }

        // What was written last may still wait for the client; until it is gone the connection counts.
        using var time = StartTime(connection);
        await connection.DisposeAsync().ConfigureAwait(false);
    }

    private ITimer StartTime(ConnectionContext connection)
    {
        var seconds = options.Server.ReaderSeconds;
        return timeProvider.CreateTimer(
            _ =>
            {
                Log.ReaderTooSlow(logger, connection.ConnectionId, seconds);
                connection.Abort(new ConnectionAbortedException("The client does not read."));
            },
            null, TimeSpan.FromSeconds(seconds), Timeout.InfiniteTimeSpan);
    }

    /// <summary>A transport whose flushes have a bounded time.</summary>
    private sealed class WatchedTransport(IDuplexPipe transport, Func<ITimer> startTime) : IDuplexPipe
    {
        public PipeReader Input => transport.Input;

        public PipeWriter Output { get; } = new WatchedWriter(transport.Output, startTime);
    }

    private sealed class WatchedWriter(PipeWriter output, Func<ITimer> startTime) : PipeWriter
    {
        public override bool CanGetUnflushedBytes => output.CanGetUnflushedBytes;

        public override long UnflushedBytes => output.UnflushedBytes;

        public override void Advance(int bytes) => output.Advance(bytes);

        public override Memory<byte> GetMemory(int sizeHint = 0) => output.GetMemory(sizeHint);

        public override Span<byte> GetSpan(int sizeHint = 0) => output.GetSpan(sizeHint);

        public override void CancelPendingFlush() => output.CancelPendingFlush();

        public override void Complete(Exception? exception = null) => output.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => output.CompleteAsync(exception);

        // At once while the connection's buffer has room: nearly always.
        public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
        {
            var flush = output.FlushAsync(cancellationToken);
            return flush.IsCompleted ? flush : WaitAsync(flush);
        }

        private async ValueTask<FlushResult> WaitAsync(ValueTask<FlushResult> flush)
        {
            using var time = startTime();
            return await flush.ConfigureAwait(false);
        }
    }
}
