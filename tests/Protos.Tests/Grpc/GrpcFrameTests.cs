using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using Tessera.Protos.Grpc;
using Tessera.Protos.V1;

namespace Tessera.Protos.Tests.Grpc;

public sealed class GrpcFrameTests
{
    // ChatMessage { role = "user" }: field 1, length 4.
    private static readonly byte[] User = [0x0A, 0x04, 0x75, 0x73, 0x65, 0x72];

    [Fact]
    public void Write_Message_GivesFlagLengthAndBytes()
    {
        var output = new ArrayBufferWriter<byte>();

        GrpcFrame.Write(output, new ChatMessage { Role = "user" }, maxMessageBytes: 6);

        Assert.Equal([0, 0, 0, 0, 6, .. User], output.WrittenSpan.ToArray());
    }

    [Fact]
    public void Write_EmptyMessage_GivesPrefixAlone()
    {
        var output = new ArrayBufferWriter<byte>();

        GrpcFrame.Write(output, new ChatMessage(), maxMessageBytes: 0);

        Assert.Equal([0, 0, 0, 0, 0], output.WrittenSpan.ToArray());
    }

    [Fact]
    public void Write_MessageOverLimit_IsRefusedAndNothingWritten()
    {
        var output = new ArrayBufferWriter<byte>();

        var error = Assert.Throws<GrpcStatusException>(() => GrpcFrame.Write(output, new ChatMessage { Role = "user" }, maxMessageBytes: 5));

        Assert.Equal(GrpcStatusCode.ResourceExhausted, error.Code);
        Assert.Equal("the message to send has 6 bytes; at most 5 are allowed", error.Detail);
        Assert.Equal(0, output.WrittenCount);
    }

    [Fact]
    public void WritePrefix_CompressedAndLongest_GivesBigEndianBytes()
    {
        var prefix = new byte[GrpcFrame.PrefixBytes];

        GrpcFrame.WritePrefix(prefix, compressed: true, 0xFEDC_BA98);

        Assert.Equal([1, 0xFE, 0xDC, 0xBA, 0x98], prefix);
    }

    [Fact]
    public async Task ReadAsync_TwoFramesByteByByte_GivesBothThenNull()
    {
        var pipe = new Pipe();
        var reader = new GrpcFrameReader(pipe.Reader, 6, encoding: null);
        byte[] bytes = [0, 0, 0, 0, 6, .. User, 0, 0, 0, 0, 0];
        var sender = Task.Run(async () =>
        {
            foreach (var b in bytes)
            {
                await pipe.Writer.WriteAsync(new[] { b });
            }

            await pipe.Writer.CompleteAsync();
        });

        Assert.Equal(new ChatMessage { Role = "user" }, await reader.ReadAsync(ChatMessage.Parser, default));
        Assert.Equal(new ChatMessage(), await reader.ReadAsync(ChatMessage.Parser, default));
        Assert.Null(await reader.ReadAsync(ChatMessage.Parser, default));
        await sender;
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("gzip")]
    [InlineData("")]
    public async Task ReadAsync_PlainFrameWithAnyEncoding_IsRead(string encoding) =>
        Assert.Equal("user", (await ReadAsync([0, 0, 0, 0, 6, .. User], 6, encoding))!.Role);

    [Fact]
    public async Task ReadAsync_GzipFrame_IsDecompressed() =>
        Assert.Equal("user", (await ReadAsync(GzipFrame(User), 100, "gzip"))!.Role);

    [Fact]
    public async Task ReadAsync_GzipFrameThatGrowsOverLimit_IsResourceExhausted()
    {
        var text = new ChatMessage { Content = new string('a', 200_000) };
        using var plain = new MemoryStream();
        Google.Protobuf.MessageExtensions.WriteTo(text, plain);
        var frame = GzipFrame(plain.ToArray());
        Assert.InRange(frame.Length, 1, 1000);

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => ReadAsync(frame, 100_000, "gzip"));

        Assert.Equal(GrpcStatusCode.ResourceExhausted, error.Code);
        Assert.Equal("the received message has more than the 100000 allowed bytes when decompressed", error.Detail);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(12)]
    [InlineData(20)]
    public async Task ReadAsync_GzipFrameCutOff_IsInternal(int missing)
    {
        var cut = GzipFrame(User)[..^missing];
        GrpcFrame.WritePrefix(cut, compressed: true, (uint)(cut.Length - GrpcFrame.PrefixBytes));

        await AssertStatusAsync(cut, "gzip", GrpcStatusCode.Internal, "the compressed message is not valid gzip");
    }

    [Fact]
    public Task ReadAsync_CompressedFrameThatIsNoGzip_IsInternal() =>
        AssertStatusAsync([1, 0, 0, 0, 6, .. User], "gzip", GrpcStatusCode.Internal, "the compressed message is not valid gzip");

    [Theory]
    [InlineData(null)]
    [InlineData("identity")]
    public Task ReadAsync_CompressedFrameWithoutEncoding_IsInternal(string? encoding) =>
        AssertStatusAsync(
            [1, 0, 0, 0, 6, .. User], encoding, GrpcStatusCode.Internal, "the frame's compressed flag is 1, but no grpc-encoding was declared");

    [Fact]
    public Task ReadAsync_ReservedFlag_IsInternal() =>
        AssertStatusAsync([2, 0, 0, 0, 0], null, GrpcStatusCode.Internal, "the frame's compressed flag must be 0 or 1, found 2");

    [Fact]
    public Task ReadAsync_PrefixCutOff_IsInternal() =>
        AssertStatusAsync([0, 0, 0], null, GrpcStatusCode.Internal, "the body ends inside a frame: expected a prefix of 5 bytes, found 3");

    [Fact]
    public Task ReadAsync_MessageCutOff_IsInternal() =>
        AssertStatusAsync(
            [0, 0, 0, 0, 6, 0x0A], null, GrpcStatusCode.Internal, "the body ends inside a frame: expected a message of 6 bytes, found 1");

    [Fact]
    public Task ReadAsync_BytesThatAreNoMessage_IsInternal() =>
        AssertStatusAsync(
            [0, 0, 0, 0, 2, 0x0A, 0x7F], null, GrpcStatusCode.Internal, "the received bytes are not a valid tessera.v1.ChatMessage");

    [Fact]
    public Task ReadAsync_LengthOverLimit_IsResourceExhaustedBeforeTheMessageComes() =>
        AssertStatusAsync(
            [0, 0xFF, 0xFF, 0xFF, 0xFF], null, GrpcStatusCode.ResourceExhausted, "the received message has 4294967295 bytes; at most 100 are allowed");

    [Fact]
    public async Task Create_UnknownEncoding_IsUnimplementedAndListsTheKnown()
    {
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => ReadAsync([], 100, "snappy"));

        Assert.Equal(GrpcStatusCode.Unimplemented, error.Code);
        Assert.Equal("identity,gzip", error.GetTrailer("grpc-accept-encoding"));
    }

    private static async Task AssertStatusAsync(byte[] bytes, string? encoding, GrpcStatusCode code, string detail)
    {
        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => ReadAsync(bytes, 100, encoding));
        Assert.Equal((code, detail), (error.Code, error.Detail));
    }

    private static async Task<ChatMessage?> ReadAsync(byte[] bytes, int maxMessageBytes, string? encoding) =>
        await new GrpcFrameReader(PipeReader.Create(new ReadOnlySequence<byte>(bytes)), maxMessageBytes, encoding)
            .ReadAsync(ChatMessage.Parser, CancellationToken.None);

    private static byte[] GzipFrame(byte[] message)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            gzip.Write(message);
        }

        var frame = new byte[GrpcFrame.PrefixBytes + compressed.Length];
        GrpcFrame.WritePrefix(frame, compressed: true, (uint)compressed.Length);
        compressed.ToArray().CopyTo(frame, GrpcFrame.PrefixBytes);
        return frame;
    }
}
