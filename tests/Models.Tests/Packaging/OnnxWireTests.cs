using Google.Protobuf;
using Tessera.Testing;

namespace Tessera.Models.Tests.Packaging;

/// <summary>Files that are no ONNX subset on the wire, before anything is parsed.</summary>
public sealed class OnnxWireTests : PackageTestBase
{
    private const string Decoder = ModelPackage.DecoderFileName;

    // Field 25 of ModelProto holds functions, which have nodes and tensors of their own.
    [Fact]
    public void Load_FunctionsThatTheChecksDoNotSee_IsRefused()
    {
        var refusal = RefusalOfDecoderBytes([0xCA, 0x01, 0x02, 0x0A, 0x00]);

        Assert.Equal(("ModelProto", "field 25"), (refusal.Field, refusal.Found));
    }

    [Theory]
    [InlineData(new byte[] { 0x3A })]
    [InlineData(new byte[] { 0x3A, 0x05, 0x00 })]
    [InlineData(new byte[] { 0x3B })]
    [InlineData(new byte[] { 0x38, 0x01 })]
    [InlineData(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { 0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F })]
    public void Load_BrokenMessage_IsRefused(byte[] tail) => Assert.Equal("ModelProto", RefusalOfDecoderBytes(tail).Field);

    [Fact]
    public void Load_MillionsOfEmptyMessages_IsRefusedBeforeTheyTakeMemory()
    {
        var before = GC.GetAllocatedBytesForCurrentThread();

        // Each "0A 00" is one more node: two bytes in the file, more than a hundred in memory.
        var nodes = Enumerable.Repeat(new byte[] { 0x0A, 0x00 }, 1_200_000).SelectMany(node => node).ToArray();
        var refusal = RefusalOfDecoderBytes([0x3A, .. Varint(nodes.Length), .. nodes]);

        Assert.Equal(("NodeProto", "at most 1000000 messages"), (refusal.Field, refusal.Expected));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 * 1024 * 1024);
    }

    [Fact]
    public void Load_RandomDamageToAGraph_OnlyEverRefuses()
    {
        Builder.Write(PackageFolder);
        var valid = File.ReadAllBytes(Path.Combine(PackageFolder, Decoder));
        var sizes = new Dictionary<string, long> { [TinyGraphs.DecoderDataFileName] = 1 << 20 };
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = valid.AsSpan(0, random.Next(8) == 0 ? random.Next(valid.Length) : valid.Length).ToArray();
            for (var edits = random.Next(1, 4); edits > 0 && bytes.Length > 0; edits--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                var model = Models.Packaging.GraphFile.Parse(Decoder, bytes, sizes);
                Models.Packaging.GraphContract.CheckDecoder(model.Graph, Builder.Manifest.Architecture, "f32");
            }
            catch (ModelPackageException)
            {
                // Refused as it should be.
            }
        }
    }

    private static byte[] Varint(int value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
            bytes.Add((byte)(value | 0x80));
        return [.. bytes, (byte)value];
    }

    /// <summary>The refusal of a decoder whose file ends in <paramref name="tail"/>.</summary>
    private ModelPackageException RefusalOfDecoderBytes(byte[] tail)
    {
        var model = TinyGraphs.CreateDecoder(Builder.Manifest.Architecture).ToByteArray();
        Builder.Files[Decoder] = [.. model, .. tail];
        var refusal = Refusal();
        Assert.Equal(Decoder, refusal.File);
        return refusal;
    }
}
