using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using Google.Protobuf;

namespace Tessera.Protos.Grpc;

/// <summary>Writes length-prefixed messages: one flag byte (0 plain, 1 compressed), the length as big-endian u32, then the message.</summary>
public static class GrpcFrame
{
    /// <summary>Bytes before each message.</summary>
    public const int PrefixBytes = 5;

    // The header and footer of gzip, and what it takes to make them, cost more than a delta of a stream could win.
    private const int LeastBytesToCompress = 1024;

    /// <summary>Writes one uncompressed message.</summary>
    /// <param name="output">Where the frame goes; the caller flushes.</param>
    /// <param name="message">The message.</param>
    /// <param name="maxMessageBytes">Largest message to send.</param>
    /// <exception cref="GrpcStatusException">RESOURCE_EXHAUSTED: the message is larger; nothing was written.</exception>
    public static void Write(IBufferWriter<byte> output, IMessage message, int maxMessageBytes)
    {
        var length = SizeOf(message, maxMessageBytes);
        WritePrefix(output.GetSpan(PrefixBytes), compressed: false, (uint)length);
        output.Advance(PrefixBytes);
        message.WriteTo(output);
    }

    /// <summary>Writes one message for a reader that takes gzip: compressed where that makes it shorter. The headers of the call must declare gzip.</summary>
    /// <inheritdoc cref="Write" path="/param"/>
    /// <inheritdoc cref="Write" path="/exception"/>
    public static void WriteGzip(IBufferWriter<byte> output, IMessage message, int maxMessageBytes)
    {
        var length = SizeOf(message, maxMessageBytes);
        if (length >= LeastBytesToCompress && Compress(message) is var packed && packed.Length < length)
        {
            WritePrefix(output.GetSpan(PrefixBytes), compressed: true, (uint)packed.Length);
            output.Advance(PrefixBytes);
            output.Write(packed.Span);
            return;
        }

        Write(output, message, maxMessageBytes);
    }

    /// <summary>Writes a prefix.</summary>
    /// <param name="destination">At least <see cref="PrefixBytes"/> long.</param>
    /// <param name="compressed">The compressed flag.</param>
    /// <param name="length">Bytes of the message as sent.</param>
    public static void WritePrefix(Span<byte> destination, bool compressed, uint length)
    {
        destination[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], length);
    }

    private static int SizeOf(IMessage message, int maxMessageBytes)
    {
        var length = message.CalculateSize();
        return length <= maxMessageBytes
            ? length
            : throw new GrpcStatusException(
                GrpcStatusCode.ResourceExhausted, $"the message to send has {length} bytes; at most {maxMessageBytes} are allowed");
    }

    private static ReadOnlyMemory<byte> Compress(IMessage message)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            message.WriteTo(gzip);
        }

        return packed.GetBuffer().AsMemory(0, (int)packed.Length);
    }
}
