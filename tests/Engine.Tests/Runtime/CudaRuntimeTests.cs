using System.Runtime.InteropServices;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Tests.Runtime;

/// <summary>What CUDA's library is called with; its place is taken by functions that write down their arguments.</summary>
public sealed unsafe class CudaRuntimeTests
{
    private const nint Stream = 77;

    private readonly CudaLibrary _library = new();

    [Fact]
    public void Copies_HaveTargetSourceSizesKindAndStream()
    {
        var cuda = _library.Runtime;

        cuda.CopyIn(host: 1, device: 2, 3, Stream);
        cuda.CopyOut(device: 4, host: 5, 6, Stream);
        cuda.CopyRows(from: 7, to: 8, rowBytes: 9, pitch: 10, rowCount: 11, Stream);

        Assert.Equal(["copy 2 1 3 kind 1 stream 77", "copy 5 4 6 kind 2 stream 77", "rows 8/10 7/10 9x11 kind 3 stream 77"], _library.Calls);
    }

    [Fact]
    public void Streams_WaitForNoOther()
    {
        var cuda = _library.Runtime;

        cuda.Use(3);
        var stream = cuda.CreateStream();
        cuda.Synchronize(stream);
        cuda.DestroyStream(stream);

        Assert.Equal(["device 3", "stream flags 1", "synchronize 77", "destroy 77"], _library.Calls);
    }

    [Fact]
    public void Memory_PinnedAndCounted()
    {
        var cuda = _library.Runtime;

        var address = cuda.AllocatePinned(64);
        cuda.FreePinned(address);

        Assert.Equal(["pin 64 flags 0", "unpin 1234"], _library.Calls);
        Assert.Equal((5u, 9u), cuda.ReadMemory());
    }

    [Theory]
    [InlineData(0, 2, null)]
    [InlineData(0, 0, "no GPU")]
    [InlineData(100, 0, "error of 100 (CUDA error 100)")]
    public void CountDevices_SaysWhyThereIsNone(int status, int count, string? problem)
    {
        (CudaLibrary.Status, CudaLibrary.DeviceCount) = (status, count);

        Assert.Equal(count, _library.Runtime.CountDevices(out var found));
        Assert.Equal(problem, found);
    }

    [Fact]
    public void Call_ThatFails_NamesTheFunctionAndTheReason()
    {
        CudaLibrary.Status = 700;

        var error = Assert.Throws<DeviceException>(() => _library.Runtime.Synchronize(Stream));

        Assert.Equal("cudaStreamSynchronize failed: error of 700 (CUDA error 700)", error.Message);
    }

    [Fact]
    public void TryLoad_NoSuchLibrary_IsNull() => Assert.Null(CudaRuntime.TryLoad(["libtessera-no-such-library.so.1"]));

    [Fact]
    public void TryLoad_LibraryWithoutTheFunctions_NamesTheFirst()
    {
        var error = Assert.Throws<EntryPointNotFoundException>(() => CudaRuntime.TryLoad([OrtLibrary.LoadedPath]));

        Assert.Contains("cudaGetErrorString", error.Message);
    }
}

/// <summary>CUDA's runtime library as functions of this process.</summary>
internal sealed unsafe class CudaLibrary
{
    [ThreadStatic]
    private static List<string>? _calls;

    public CudaLibrary()
    {
        (Status, DeviceCount, _calls) = (0, 1, []);
        Runtime = new CudaRuntime(Resolve);
    }

    /// <summary>What every function returns.</summary>
    [field: ThreadStatic]
    public static int Status { get; set; }

    /// <summary>GPUs that there are.</summary>
    [field: ThreadStatic]
    public static int DeviceCount { get; set; }

    /// <summary>The calls of this thread.</summary>
    public IReadOnlyList<string> Calls => _calls!;

    public CudaRuntime Runtime { get; }

    private static nint Resolve(string name) => name switch
    {
        "cudaGetErrorString" => (nint)(delegate* unmanaged<int, nint>)&ErrorString,
        "cudaGetDeviceCount" => (nint)(delegate* unmanaged<int*, int>)&GetDeviceCount,
        "cudaSetDevice" => (nint)(delegate* unmanaged<int, int>)&SetDevice,
        "cudaMemGetInfo" => (nint)(delegate* unmanaged<nuint*, nuint*, int>)&MemGetInfo,
        "cudaStreamCreateWithFlags" => (nint)(delegate* unmanaged<nint*, uint, int>)&StreamCreate,
        "cudaStreamDestroy" => (nint)(delegate* unmanaged<nint, int>)&StreamDestroy,
        "cudaStreamSynchronize" => (nint)(delegate* unmanaged<nint, int>)&StreamSynchronize,
        "cudaHostAlloc" => (nint)(delegate* unmanaged<nint*, nuint, uint, int>)&HostAlloc,
        "cudaFreeHost" => (nint)(delegate* unmanaged<nint, int>)&FreeHost,
        "cudaMemcpyAsync" => (nint)(delegate* unmanaged<nint, nint, nuint, int, nint, int>)&Copy,
        "cudaMemcpy2DAsync" => (nint)(delegate* unmanaged<nint, nuint, nint, nuint, nuint, nuint, int, nint, int>)&CopyRows,
        _ => throw new EntryPointNotFoundException(name),
    };

    private static int Note(string call)
    {
        _calls?.Add(call);
        return Status;
    }

    // The text stays for the life of the process, as CUDA's do.
    [UnmanagedCallersOnly]
    private static nint ErrorString(int status) => Marshal.StringToCoTaskMemUTF8($"error of {status}");

    [UnmanagedCallersOnly]
    private static int GetDeviceCount(int* count)
    {
        *count = DeviceCount;
        return Status;
    }

    [UnmanagedCallersOnly]
    private static int SetDevice(int device) => Note($"device {device}");

    [UnmanagedCallersOnly]
    private static int MemGetInfo(nuint* free, nuint* total)
    {
        (*free, *total) = (5, 9);
        return Status;
    }

    [UnmanagedCallersOnly]
    private static int StreamCreate(nint* stream, uint flags)
    {
        *stream = 77;
        return Note($"stream flags {flags}");
    }

    [UnmanagedCallersOnly]
    private static int StreamDestroy(nint stream) => Note($"destroy {stream}");

    [UnmanagedCallersOnly]
    private static int StreamSynchronize(nint stream) => Note($"synchronize {stream}");

    [UnmanagedCallersOnly]
    private static int HostAlloc(nint* address, nuint bytes, uint flags)
    {
        *address = 1234;
        return Note($"pin {bytes} flags {flags}");
    }

    [UnmanagedCallersOnly]
    private static int FreeHost(nint address) => Note($"unpin {address}");

    [UnmanagedCallersOnly]
    private static int Copy(nint target, nint source, nuint bytes, int kind, nint stream) => Note($"copy {target} {source} {bytes} kind {kind} stream {stream}");

    [UnmanagedCallersOnly]
    private static int CopyRows(nint target, nuint targetPitch, nint source, nuint sourcePitch, nuint width, nuint height, int kind, nint stream) =>
        Note($"rows {target}/{targetPitch} {source}/{sourcePitch} {width}x{height} kind {kind} stream {stream}");
}
