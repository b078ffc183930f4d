using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;
using Tessera.Engine.Tests.Runtime;
using Tessera.Testing;
using Tessera.Testing.Graphs;

namespace Tessera.Engine.Tests.Execution.Devices;

/// <summary>What the runtime is told for a GPU, and what is said where there is none.</summary>
public sealed class CudaGpuTests : IDisposable
{
    private static readonly EngineOptions Cuda = new() { Device = EngineDevice.Cuda };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void ProviderEntries_ByDefault_AreExactlyThese() => Assert.Equal(
        ["device_id=0", "arena_extend_strategy=kSameAsRequested", "enable_cuda_graph=1", "use_tf32=0", "sdpa_kernel=3"],
        Texts(CudaSettings.ProviderEntries(Cuda)));

    [Fact]
    public void ProviderEntries_OfOptions_SayThem() => Assert.Equal(
        ["device_id=3", "arena_extend_strategy=kSameAsRequested", "enable_cuda_graph=0", "use_tf32=0", "sdpa_kernel=3", "gpu_mem_limit=8589934592"],
        Texts(CudaSettings.ProviderEntries(Cuda with { DeviceId = 3, CudaGraphs = false, DeviceMemoryMiB = 8192 })));

    [Fact]
    public void Options_OutOfRange_NameThemselves() => Assert.Equal(
        ["DeviceId must be from 0 to 255; got -1", "DeviceMemoryMiB must be from 0 to 10000000; got -5"],
        new EngineOptions { DeviceId = -1, DeviceMemoryMiB = -5 }.FindProblems());

    [Fact]
    public void SessionEntries_RefuseNodesOnTheProcessor() => Assert.Equal(["session.disable_cpu_ep_fallback=1"], Texts(CudaSettings.SessionEntries));

    [Fact]
    public void Open_NoProvider_NamesBothFilesAndWhere()
    {
        var error = Assert.Throws<DeviceException>(() => CudaGpu.Open(Cuda, _folder["libonnxruntime.so.1"], ["libtessera-none.so.13"]));

        Assert.Equal(
            $"Engine:Device: cuda needs ONNX Runtime's CUDA provider beside '{_folder["libonnxruntime.so.1"]}'; found no {OrtCudaProvider.FileNames[0]} and no "
            + $"{OrtCudaProvider.FileNames[1]} there (docs/how-to/run-on-a-gpu.md)",
            error.Message);
    }

    [Fact]
    public void Open_HalfAProvider_NamesTheOtherFile()
    {
        File.WriteAllText(_folder[OrtCudaProvider.FileNames[0]], "");

        var error = Assert.Throws<DeviceException>(() => CudaGpu.Open(Cuda, _folder["libonnxruntime.so.1"], ["libtessera-none.so.13"]));

        Assert.Contains($"; found no {OrtCudaProvider.FileNames[1]} there", error.Message);
    }

    [Fact]
    public void Open_NoCudaLibrary_NamesThoseItLookedFor()
    {
        foreach (var name in OrtCudaProvider.FileNames)
            File.WriteAllText(_folder[name], "");

        var error = Assert.Throws<DeviceException>(() => CudaGpu.Open(Cuda, _folder["libonnxruntime.so.1"], ["libtessera-none.so.13", "libtessera-none.so.12"]));

        Assert.Equal(
            "Engine:Device: cuda needs CUDA's runtime library; found no libtessera-none.so.13 and no libtessera-none.so.12 where the system looks for libraries "
            + "(docs/how-to/run-on-a-gpu.md)",
            error.Message);
    }

    [Fact]
    public void Open_NoDriver_SaysWhatCudaSays()
    {
        var library = new CudaLibrary();
        CudaLibrary.Status = 35;

        var error = Assert.Throws<DeviceException>(() => CudaGpu.Open(Cuda, library.Runtime));

        Assert.Equal(
            "Engine:Device: cuda needs an NVIDIA GPU and its driver; found error of 35 (CUDA error 35) (docs/how-to/run-on-a-gpu.md)", error.Message);
    }

    [Fact]
    public void Open_NoSuchGpu_NamesThoseThatThereAre()
    {
        var library = new CudaLibrary();
        CudaLibrary.DeviceCount = 2;

        var error = Assert.Throws<DeviceException>(() => CudaGpu.Open(Cuda with { DeviceId = 2 }, library.Runtime));

        Assert.Equal("Engine:DeviceId: expected 0 to 1, the GPUs that the driver offers, found 2", error.Message);
    }

    [Fact]
    public void Load_ProviderThatTheRuntimeCannotLoad_IsOneLineAndEndsTheStream()
    {
        // This machine's runtime has no provider beside it: what it says is the runtime's own words.
        var library = new CudaLibrary();
        using (var gpu = CudaGpu.Open(Cuda with { DeviceId = 0 }, library.Runtime))
        {
            TinyDecoderGraph.Save(_folder["decoder.onnx"], TinyDecoderWeights.Small());

            var error = Assert.Throws<DeviceException>(() => gpu.Load(_folder["decoder.onnx"]));

            Assert.StartsWith("Engine:Device: cuda needs a CUDA provider that ONNX Runtime can load; found ONNX Runtime: ", error.Message);
            Assert.DoesNotContain("\n", error.Message);
        }

        Assert.Equal(["device 0", "stream flags 1", "destroy 77"], library.Calls);
    }

    [Fact]
    public void RunOptions_OfAGraph_AreMadeOnceAndEndTogether()
    {
        using var options = new GraphRunOptions();

        Assert.Same(options.For(4), options.For(4));
        Assert.NotSame(options.For(4), options.For(DecodeShape.NoGraph));
    }

    private static IEnumerable<string> Texts(IReadOnlyList<KeyValuePair<string, string>> entries) => entries.Select(entry => $"{entry.Key}={entry.Value}");
}
