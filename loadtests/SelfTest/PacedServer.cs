using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Tessera.LoadTests.SelfTest;

/// <summary>
/// A chat-completions server that sends tokens at known times and keeps, per token, the timestamp at which it was handed to the socket. Just enough HTTP/1.1 for this
/// tool's own client; it runs in a process of its own, so that the client's processor time is the client's alone.
/// </summary>
public sealed class PacedServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly BlockingCollection<PacedStream> _arrived = [];
    private readonly TimeProvider _clock;

    /// <summary>Listens on a free port of loopback.</summary>
    /// <param name="clock">Clock of the schedule and of the timestamps.</param>
    public PacedServer(TimeProvider clock)
    {
        _clock = clock;
        _listener.Start(backlog: 4096);
    }

    /// <summary>The port.</summary>
    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Accepts connections until disposed.</summary>
    public async Task AcceptAsync()
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptSocketAsync().ConfigureAwait(false);
            }
            catch (Exception e) when (e is ObjectDisposedException or SocketException or InvalidOperationException)
            {
                return;
            }

            socket.NoDelay = true;
            _ = ReadRequestsAsync(socket);
        }
    }

    /// <summary>Waits for all streams of one load, sends them, and gives the timestamps of each token.</summary>
    /// <returns>[stream][token]: timestamp of the clock.</returns>
    public long[][] ServeOneLoad()
    {
        var first = _arrived.Take();
        var plan = first.Plan;
        var streams = new PacedStream[plan.Streams];
        streams[first.Stream] = first;
        for (var i = 1; i < plan.Streams; i++)
        {
            var next = _arrived.Take();
            streams[next.Stream] = next;
        }

        var stamps = streams.Select(_ => new long[plan.TokensPerStream]).ToArray();
        var start = _clock.GetTimestamp();
        for (var token = 0; token < plan.TokensPerStream; token++)
        {
            for (var stream = 0; stream < plan.Streams; stream++)
            {
                // A sleep wakes up to a millisecond late; what is due by then goes out together. The timestamp is that of the sending.
                while (_clock.GetElapsedTime(start) < plan.Due(stream, token))
                {
                    Thread.Sleep(1);
                }

                stamps[stream][token] = _clock.GetTimestamp();
                streams[stream].SendToken(token);
            }
        }

        foreach (var stream in streams)
        {
            stream.SendEnd();
        }

        return stamps;
    }

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        _listener.Dispose();
        _arrived.Dispose();
    }

    // A connection carries one request after the other; each waits for its load.
    private async Task ReadRequestsAsync(Socket socket)
    {
        using (socket)
        {
            var reader = new RequestReader(socket);
            while (await reader.ReadBodyAsync().ConfigureAwait(false) is { } body)
            {
                var (plan, stream) = SelfTestPlan.Read(body);
                var paced = new PacedStream(socket, plan, stream);
                _arrived.Add(paced);
                await paced.Ended.ConfigureAwait(false);
            }
        }
    }

    /// <summary>Reads request bodies off a connection.</summary>
    private sealed class RequestReader(Socket socket)
    {
        private const string LengthHeader = "content-length:";

        private readonly byte[] _buffer = new byte[64 * 1024];
        private int _filled;

        /// <summary>The next body; null when the client closed the connection.</summary>
        public async Task<string?> ReadBodyAsync()
        {
            while (true)
            {
                var text = Encoding.ASCII.GetString(_buffer, 0, _filled);
                var head = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                if (head >= 0 && _filled - head - 4 >= BodyLength(text[..head]))
                {
                    var length = BodyLength(text[..head]);
                    var body = text.Substring(head + 4, length);
                    var used = head + 4 + length;
                    _buffer.AsSpan(used, _filled - used).CopyTo(_buffer);
                    _filled -= used;
                    return body;
                }

                var read = await ReceiveAsync().ConfigureAwait(false);
                if (read == 0)
                {
                    return null;
                }

                _filled += read;
            }
        }

        private async Task<int> ReceiveAsync()
        {
            try
            {
                return await socket.ReceiveAsync(_buffer.AsMemory(_filled)).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                return 0;
            }
        }

        private static int BodyLength(string head)
        {
            foreach (var line in head.Split("\r\n"))
            {
                if (line.StartsWith(LengthHeader, StringComparison.OrdinalIgnoreCase))
                {
                    return int.Parse(line.AsSpan(LengthHeader.Length).Trim(), NumberStyles.None, CultureInfo.InvariantCulture);
                }
            }

            return 0;
        }
    }
}
