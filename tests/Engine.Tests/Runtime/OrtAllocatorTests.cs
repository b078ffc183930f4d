using Tessera.Engine.Runtime;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Runtime;

/// <summary>The calls by which device memory is had, on the one kind of memory that every machine has.</summary>
public sealed class OrtAllocatorTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public unsafe void Allocate_GivesMemoryThatATensorCanLieOver()
    {
        using var session = Load();
        using var memory = OrtMemoryInfo.Create("Cpu", 0);
        using var allocator = new OrtAllocator(session, memory);

        var address = allocator.Allocate(1024);
        new Span<float>((void*)address, 256).Fill(2);
        using (var tensor = OrtValue.FromMemory(address, [256], OrtElementType.F32, memory))
            Assert.Equal(512, tensor.Elements<float>().ToArray().Sum());
        Assert.InRange(allocator.TotalBytes, 0, long.MaxValue);
        allocator.Free(address);
    }

    [Fact]
    public void Create_MemoryThatTheSessionDoesNotHave_IsAnOrtException()
    {
        using var session = Load();
        using var memory = OrtMemoryInfo.Create("Cuda", 0);

        Assert.Throws<OrtException>(() => new OrtAllocator(session, memory));
    }

    private OrtSession Load()
    {
        TinyDecoderGraph.Save(_folder["decoder.onnx"], TinyDecoderWeights.Small());
        using var options = new OrtSessionOptions(threads: 1);
        return new OrtSession(_folder["decoder.onnx"], options);
    }
}
