using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Pipelines;
using Google.Protobuf;

namespace Tessera.Protos.Grpc;

/// <summary>Reads length-prefixed messages from one direction of a call. Holds at most one message of the allowed size.</summary>
/// <param name="input">The body.</param>
/// <param name="maxMessageBytes">Largest message to take, before and after decompression.</param>
/// <param name="encoding">Value of <c>grpc-encoding</c> in this direction; null when absent.</param>
public sealed class GrpcFrameReader(PipeReader input, int maxMessageBytes, string? encoding)
{
    // Header of 10 bytes, footer of 8.
    private const int GzipMinBytes = 18;

    private readonly bool _gzip = ReadsGzip(encoding);

    /// <summary>Reads the next message.</summary>
    /// <returns>Null at the end of the body.</returns>
    /// <exception cref="GrpcStatusException">
    /// INTERNAL: cut off, a wrong flag, bytes that are not the encoding or not the message. RESOURCE_EXHAUSTED: larger than allowed.
    /// </exception>
    public async ValueTask<T?> ReadAsync<T>(MessageParser<T> parser, CancellationToken cancellationToken)
        where T : class, IMessage<T>, new()
    {
        while (true)
        {
            var read = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (read.IsCanceled)
            {
                throw new OperationCanceledException("The read was cancelled.", cancellationToken);
            }

            if (TryReadMessage(read.Buffer, parser, out var message, out var consumed))
            {
                input.AdvanceTo(consumed);
                return message;
            }

            if (read.IsCompleted)
            {
                return EndOfBody<T>(read.Buffer);
            }

            input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private bool TryReadMessage<T>(ReadOnlySequence<byte> buffer, MessageParser<T> parser, out T? message, out SequencePosition consumed)
        where T : class, IMessage<T>, new()
    {
        message = null;
        consumed = buffer.Start;
        if (buffer.Length < GrpcFrame.PrefixBytes)
        {
            return false;
        }

        var (compressed, length) = ReadPrefix(buffer);
        if (buffer.Length - GrpcFrame.PrefixBytes < length)
        {
            return false;
        }

        var body = buffer.Slice(GrpcFrame.PrefixBytes, length);
        consumed = body.End;
        message = Parse(compressed ? Decompress(body) : body, parser);
        return true;
    }

    // The size is checked as soon as the prefix is there, so that no more than one allowed message is ever buffered.
    private (bool Compressed, long Length) ReadPrefix(ReadOnlySequence<byte> buffer)
    {
        Span<byte> prefix = stackalloc byte[GrpcFrame.PrefixBytes];
        buffer.Slice(0, GrpcFrame.PrefixBytes).CopyTo(prefix);
        if (prefix[0] > 1)
        {
            throw new GrpcStatusException(GrpcStatusCode.Internal, $"the frame's compressed flag must be 0 or 1, found {prefix[0]}");
        }

        if (prefix[0] == 1 && !_gzip)
        {
            throw new GrpcStatusException(GrpcStatusCode.Internal, "the frame's compressed flag is 1, but no grpc-encoding was declared");
        }

        var length = BinaryPrimitives.ReadUInt32BigEndian(prefix[1..]);
        if (length > maxMessageBytes)
        {
            throw new GrpcStatusException(
                GrpcStatusCode.ResourceExhausted, $"the received message has {length} bytes; at most {maxMessageBytes} are allowed");
        }

        return (prefix[0] == 1, length);
    }

    private ReadOnlySequence<byte> Decompress(ReadOnlySequence<byte> body)
    {
        var packed = body.ToArray();
        var plain = new MemoryStream();
        var chunk = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            using var gzip = new GZipStream(new MemoryStream(packed, writable: false), CompressionMode.Decompress);
            for (var count = gzip.Read(chunk); count > 0; count = gzip.Read(chunk))
            {
                if (plain.Length + count > maxMessageBytes)
                {
                    throw new GrpcStatusException(
                        GrpcStatusCode.ResourceExhausted, $"the received message has more than the {maxMessageBytes} allowed bytes when decompressed");
                }

                plain.Write(chunk, 0, count);
            }

            // A stream that is cut off just ends here; the size at the end of a whole one tells.
            if (packed.Length < GzipMinBytes || BinaryPrimitives.ReadUInt32LittleEndian(packed.AsSpan(packed.Length - 4)) != plain.Length)
            {
                throw new InvalidDataException("The gzip stream is cut off.");
            }
        }
        catch (InvalidDataException e)
        {
            throw new GrpcStatusException(GrpcStatusCode.Internal, "the compressed message is not valid gzip", innerException: e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }

        return new ReadOnlySequence<byte>(plain.GetBuffer(), 0, (int)plain.Length);
    }

    private static T Parse<T>(ReadOnlySequence<byte> body, MessageParser<T> parser)
        where T : class, IMessage<T>, new()
    {
        try
        {
            return parser.ParseFrom(body);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new GrpcStatusException(
                GrpcStatusCode.Internal, $"the received bytes are not a valid {new T().Descriptor.FullName}", innerException: e);
        }
    }

    private static T? EndOfBody<T>(ReadOnlySequence<byte> rest)
        where T : class =>
        rest.IsEmpty
            ? null
            : throw new GrpcStatusException(
                GrpcStatusCode.Internal,
                rest.Length < GrpcFrame.PrefixBytes
                    ? $"the body ends inside a frame: expected a prefix of {GrpcFrame.PrefixBytes} bytes, found {rest.Length}"
                    : $"the body ends inside a frame: expected a message of {MessageLength(rest)} bytes, found {rest.Length - GrpcFrame.PrefixBytes}");

    private static uint MessageLength(ReadOnlySequence<byte> frame)
    {
        Span<byte> length = stackalloc byte[GrpcFrame.PrefixBytes - 1];
        frame.Slice(1, length.Length).CopyTo(length);
        return BinaryPrimitives.ReadUInt32BigEndian(length);
    }

    private static bool ReadsGzip(string? encoding) => encoding switch
    {
        null or "" or "identity" => false,
        GrpcHeaders.Gzip => true,
        _ => throw new GrpcStatusException(
            GrpcStatusCode.Unimplemented,
            $"grpc-encoding must be one of {GrpcHeaders.SupportedEncodings}",
            [new(GrpcHeaders.AcceptEncoding, GrpcHeaders.SupportedEncodings)]),
    };
}
