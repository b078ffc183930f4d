using Microsoft.AspNetCore.Connections;

namespace Tessera.Server.Hosting;

/// <summary>Bounds the connections of all ports together; the web server's own limit counts each port for itself.</summary>
/// <param name="options">Connections at once.</param>
internal sealed class ConnectionCap(LiveOptions options)
{
    private int _count;

    /// <summary>Counts the connections of a listener; one too many is closed at once.</summary>
    public void Guard(IConnectionBuilder listener) => listener.Use(next => connection => RunAsync(next, connection));

    private async Task RunAsync(ConnectionDelegate next, ConnectionContext connection)
    {
        try
        {
            if (Interlocked.Increment(ref _count) > options.Server.MaxConnections)
            {
                connection.Abort();
                return;
            }

            await next(connection).ConfigureAwait(false);
        }
        finally
        {
            Interlocked.Decrement(ref _count);
        }
    }
}
