using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;

namespace Tessera.Server.Tests.Api.Grpc;

/// <summary>A frame that came in: its type, its stream and its content.</summary>
internal sealed record RawFrame(byte Type, int Stream, byte[] Content);

/// <summary>HTTP/2 by hand, for clients that no library lets us be: requests on streams and with windows of our choice.</summary>
internal sealed class RawHttp2Connection : IDisposable
{
    public const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, WindowUpdate = 8;

    private const byte EndStream = 1, EndHeaders = 4, Ack = 1;
    private const int FrameHeadBytes = 9;

    private readonly Socket _socket;

    private RawHttp2Connection(Socket socket) => _socket = socket;

    /// <summary>Connects and says how many bytes each stream may send before it waits.</summary>
    public static async Task<RawHttp2Connection> OpenAsync(Uri address, uint window, int? receiveBuffer = null)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        socket.ReceiveBufferSize = receiveBuffer ?? socket.ReceiveBufferSize;
        await socket.ConnectAsync(address.Host, address.Port);
        var connection = new RawHttp2Connection(socket);
        await socket.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());

        // SETTINGS_INITIAL_WINDOW_SIZE is 4.
        var settings = new byte[6];
        settings[1] = 4;
        BinaryPrimitives.WriteUInt32BigEndian(settings.AsSpan(2), window);
        await connection.SendAsync(Settings, 0, 0, settings);
        return connection;
    }

    /// <summary>Sends a request; without its end the server goes on waiting for more of the body.</summary>
    public Task RequestAsync(string path, byte[] body, bool endStream, params (string Name, string Value)[] more) => RequestAsync(1, path, body, endStream, more);

    /// <summary>Bytes of the names and values of a request's headers, others not included.</summary>
    public static int HeaderBytesOf(string path) => HeadersOf(path, []).Sum(header => header.Name.Length + header.Value.Length);

    /// <summary>Sends a request on a stream, which must be odd and above all before it.</summary>
    public async Task RequestAsync(int stream, string path, byte[] body, bool endStream, params (string Name, string Value)[] more)
    {
        await SendAsync(Headers, EndHeaders, stream, [.. HeadersOf(path, more).SelectMany(header => Literal(header.Name, header.Value))]);
        await SendAsync(Data, endStream ? EndStream : (byte)0, stream, body);
    }

    /// <summary>Sends more of a body.</summary>
    public Task ContinueAsync(int stream, byte[] body, bool endStream) => SendAsync(Data, endStream ? EndStream : (byte)0, stream, body);

    /// <summary>Lets a stream send so many bytes more.</summary>
    public Task OpenWindowAsync(int stream, int bytes)
    {
        var increment = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(increment, bytes);
        return SendAsync(WindowUpdate, 0, stream, increment);
    }

    /// <summary>Reads up to the first frame of this type on a stream.</summary>
    public async Task<RawFrame> ReadUntilAsync(byte type, int stream = 1)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (true)
        {
            var head = await ReadAsync(FrameHeadBytes, patience.Token);
            var content = await ReadAsync((head[0] << 16) | (head[1] << 8) | head[2], patience.Token);
            var frame = new RawFrame(head[3], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), content);
            if (frame.Type == Settings && head[4] != Ack)
            {
                await SendAsync(Settings, Ack, 0, []);
            }

            if (frame.Stream == stream && frame.Type == type)
            {
                return frame;
            }
        }
    }

    /// <summary>Cuts the connection with a TCP reset.</summary>
    public void Abort()
    {
        _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();

    private static (string Name, string Value)[] HeadersOf(string path, (string Name, string Value)[] more) =>
    [
        (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
        ("content-type", "application/grpc"), ("te", "trailers"), .. more,
    ];

    // HPACK: a literal without indexing, both strings as they are.
    private static byte[] Literal(string name, string value) => [0, .. Text(name), .. Text(value)];

    private static byte[] Text(string text) => [.. Length(text.Length), .. Encoding.ASCII.GetBytes(text)];

    // HPACK: what does not fit into seven bits follows in groups of seven.
    private static IEnumerable<byte> Length(int length)
    {
        if (length < 127)
        {
            return [(byte)length];
        }

        var bytes = new List<byte> { 127 };
        for (length -= 127; length >= 128; length >>= 7)
        {
            bytes.Add((byte)(length | 128));
        }

        return [.. bytes, (byte)length];
    }

    private async Task SendAsync(byte type, byte flags, int stream, byte[] content)
    {
        var frame = new byte[FrameHeadBytes + content.Length];
        frame[1] = (byte)(content.Length >> 8);
        frame[2] = (byte)content.Length;
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        content.CopyTo(frame, FrameHeadBytes);
        await _socket.SendAsync(frame);
    }

    private async Task<byte[]> ReadAsync(int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        for (var done = 0; done < count;)
        {
            var received = await _socket.ReceiveAsync(bytes.AsMemory(done), cancellationToken);
            Assert.True(received > 0, "the server closed the connection");
            done += received;
        }

        return bytes;
    }
}
