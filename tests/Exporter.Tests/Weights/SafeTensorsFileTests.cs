using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Tessera.Exporter.Tests.Support;
using Tessera.Exporter.Weights;
using Tessera.Testing;

namespace Tessera.Exporter.Tests.Weights;

public sealed class SafeTensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ReadFloats_EveryFloatingType_GivesTheNumbers()
    {
        float[] values = [0, 1.5f, -2, 0.25f];
        using var file = Open(new SafeTensorsWriter()
            .Add("f32", values, 2, 2)
            .Add("f64", "F64", MemoryMarshal.AsBytes<double>(Array.ConvertAll(values, value => (double)value)), 4)
            .Add("f16", "F16", MemoryMarshal.AsBytes<Half>(Array.ConvertAll(values, value => (Half)value)), 4)
            .Add("bf16", "BF16", MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(values, value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))), 4));

        foreach (var name in (string[])["f32", "f64", "f16", "bf16"])
            Assert.Equal(values, file.ReadFloats(file.RequireAnyShape(name)));
        Assert.Equal([2, 2], file.Require("f32", 2, 2).Shape);
    }

    [Fact]
    public void ReadFloats_MoreThanOneChunkOfHalves_GivesAllNumbers()
    {
        var halves = new Half[200_001];
        for (var i = 0; i < halves.Length; i++)
            halves[i] = (Half)(i % 1024);
        using var file = Open(new SafeTensorsWriter().Add("long", "F16", MemoryMarshal.AsBytes<Half>(halves), halves.Length));

        Assert.Equal(Array.ConvertAll(halves, half => (float)half), file.ReadFloats(file.RequireAnyShape("long")));
    }

    [Fact]
    public void ReadIntegers_BothWidths_GivesTheNumbers()
    {
        using var file = Open(new SafeTensorsWriter().Add("i64", [1L, -2L], 2).Add("i32", "I32", MemoryMarshal.AsBytes<int>([3, -4]), 2));

        Assert.Equal([1L, -2L], file.ReadIntegers(file.RequireAnyShape("i64")));
        Assert.Equal([3L, -4L], file.ReadIntegers(file.RequireAnyShape("i32")));
    }

    [Fact]
    public void Open_ScalarAndEmptyTensorAndMetadata_AreTaken()
    {
        var writer = new SafeTensorsWriter().Add("scalar", [7f]).Add("empty", Array.Empty<float>(), 0, 5);
        writer.Header["__metadata__"] = new System.Text.Json.Nodes.JsonObject { ["format"] = "pt" };
        using var file = Open(writer);

        Assert.Equal(["empty", "scalar"], file.Tensors.Keys.Order());
        Assert.Equal([7f], file.ReadFloats(file.Require("scalar")));
        Assert.Empty(file.ReadFloats(file.Require("empty", 0, 5)));
    }

    [Theory]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.NegativeInfinity, "-Infinity")]
    public void ReadFloats_NotFinite_NamesTensorAndElement(float value, string shown)
    {
        using var file = Open(new SafeTensorsWriter().Add("w", [1, value, 2], 3));

        var error = Assert.Throws<ExportException>(() => file.ReadFloats(file.RequireAnyShape("w")));

        Assert.Equal($"w.safetensors: w: expected finite numbers, found {shown} at element 1", error.Message);
    }

    [Fact]
    public void Require_OtherShape_SaysBothShapes()
    {
        using var file = Open(new SafeTensorsWriter().Add("w", new float[6], 2, 3));

        var error = Assert.Throws<ExportException>(() => file.Require("w", 3, 2));

        Assert.Equal("w.safetensors: w: expected shape [3, 2], found [2, 3]", error.Message);
    }

    [Fact]
    public void Require_MissingTensor_NamesIt()
    {
        using var file = Open(new SafeTensorsWriter().Add("w", new float[1], 1));

        Assert.Equal("w.safetensors: x: expected a tensor of that name, found none", Assert.Throws<ExportException>(() => file.RequireAnyShape("x")).Message);
    }

    [Fact]
    public void Open_MissingFile_NamesIt() => Assert.Equal("none.safetensors", Assert.Throws<ExportException>(() => SafeTensorsFile.Open(_folder["none.safetensors"])).File);

    [Fact]
    public void Open_FileCutInItsData_NamesTheTensor()
    {
        var bytes = new SafeTensorsWriter().Add("a", new float[4], 4).Add("b", new float[4], 4).ToBytes();

        Assert.Equal("b.data_offsets", Refused(bytes[..^1]).Field);
    }

    [Fact]
    public void Open_FileCutInItsHeader_SaysSo() =>
        Assert.Equal("header length", Refused(new SafeTensorsWriter().Add("a", new float[4], 4).ToBytes()[..20]).Field);

    [Fact]
    public void Open_FileOfThreeBytes_SaysSo() => Assert.Equal("w.safetensors: length: expected at least 8 bytes, found 3", Refused([1, 2, 3]).Message);

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(100_000_001ul)]
    [InlineData(1000ul)]
    public void Open_HeaderLongerThanFile_IsRefusedUnread(ulong length)
    {
        var bytes = new byte[100];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);

        Assert.Equal($"w.safetensors: header length: expected at most 92 bytes (the file has 100), found {length}", Refused(bytes).Message);
    }

    [Fact]
    public void Open_OverlappingTensors_NamesTheSecond()
    {
        var writer = new SafeTensorsWriter().Add("a", new float[4], 4).Add("b", new float[4], 4).Move("b", 12, 28);

        Assert.Equal("w.safetensors: b.data_offsets: expected data from byte 16 on, where the tensor before ends, found byte 12", Refused(writer.ToBytes()).Message);
    }

    [Fact]
    public void Open_HoleBetweenTensors_NamesTheSecond()
    {
        var writer = new SafeTensorsWriter().Add("a", new float[4], 4).Add("gone", new float[1], 1).Add("b", new float[4], 4);
        writer.Header.Remove("gone");

        Assert.Equal("b.data_offsets", Refused(writer.ToBytes()).Field);
    }

    [Fact]
    public void Open_OffsetPastTheEnd_NamesTheTensor()
    {
        var writer = new SafeTensorsWriter().Add("a", new float[4], 4).Move("a", 0, 1L << 40);

        Assert.Equal("w.safetensors: a.data_offsets: expected [begin, end] within 16 bytes of data, found [0, 1099511627776]", Refused(writer.ToBytes()).Message);
    }

    [Fact]
    public void Open_DataThatNobodyOwns_IsRefused()
    {
        var bytes = new SafeTensorsWriter().Add("a", new float[4], 4).ToBytes();

        Assert.Equal("w.safetensors: length: expected 16 bytes of data, as the header says, found 19", Refused([.. bytes, 1, 2, 3]).Message);
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}}""", "a.data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,16]}}""", "a.data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}""", "a.shape[0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4.5],"data_offsets":[0,16]}}""", "a.shape[0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":4,"data_offsets":[0,16]}}""", "a.shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}""", "a.data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0]}}""", "a.data_offsets")]
    [InlineData("""{"a":{"dtype":"F31","shape":[4],"data_offsets":[0,16]}}""", "a.dtype")]
    [InlineData("""{"a":{"shape":[4],"data_offsets":[0,16]}}""", "a.dtype")]
    [InlineData("""{"a":[]}""", "a")]
    [InlineData("""{"\ud800":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "header")]
    [InlineData("""[]""", "header")]
    [InlineData("""{"a":""", "header")]
    public void Open_LyingHeader_NamesTheField(string header, string field) =>
        Assert.Equal(field, Refused(SafeTensorsWriter.ToBytes(header, new byte[16])).Field);

    [Fact]
    public void Open_SameTensorTwice_NamesIt()
    {
        const string Entry = """ "a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]} """;

        Assert.Equal("w.safetensors: a: expected one entry in the header, found two", Refused(SafeTensorsWriter.ToBytes($"{{{Entry},{Entry}}}", new byte[16])).Message);
    }

    [Fact]
    public void Open_TwentyThousandMutations_ThrowsOnlyItsOwnErrorAndAllocatesLittle()
    {
        const int Mutations = 20_000;
        const long AllocatedPerFile = 64 << 10;
        var original = new SafeTensorsWriter().Add("first", new float[6], 2, 3).Add("second", [1L, 2L], 2).ToBytes();
        var random = new Random(1);
        var path = _folder["w.safetensors"];
        var refused = 0;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Mutations; i++)
        {
            File.WriteAllBytes(path, Mutate(original, random));
            refused += ReadAll(path) ? 0 : 1;
        }

        Assert.InRange(refused, 1, Mutations);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Mutations * AllocatedPerFile);
    }

    private static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = original.ToArray();
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            // Half of the changes hit the first bytes: the length and the start of the header.
            bytes[random.Next(random.Next(2) == 0 ? 40 : bytes.Length)] = (byte)random.Next(256);
        }

        return random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : bytes;
    }

    private static bool ReadAll(string path)
    {
        try
        {
            using var file = SafeTensorsFile.Open(path);
            foreach (var tensor in file.Tensors.Values)
                _ = tensor.Type.IsFloat() ? file.ReadFloats(tensor).Length : file.ReadIntegers(tensor).Length;
            return true;
        }
        catch (ExportException)
        {
            return false;
        }
    }

    private SafeTensorsFile Open(SafeTensorsWriter writer)
    {
        File.WriteAllBytes(_folder["w.safetensors"], writer.ToBytes());
        return SafeTensorsFile.Open(_folder["w.safetensors"]);
    }

    private ExportException Refused(byte[] bytes)
    {
        File.WriteAllBytes(_folder["w.safetensors"], bytes);
        return Assert.Throws<ExportException>(() => SafeTensorsFile.Open(_folder["w.safetensors"]));
    }
}
