using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>
/// The functions of CUDA's runtime library that Tessera calls itself: what is there, one stream, pinned memory, copies. The library is the one that the runtime's
/// CUDA provider needs anyway; it is looked for by name, and nothing is linked against it.
/// </summary>
internal sealed unsafe class CudaRuntime
{
    private const int NonBlockingStream = 1;
    private const int HostToDevice = 1;
    private const int DeviceToHost = 2;
    private const int DeviceToDevice = 3;

    private readonly delegate* unmanaged<int, nint> _getErrorString;
    private readonly delegate* unmanaged<int*, int> _getDeviceCount;
    private readonly delegate* unmanaged<int, int> _setDevice;
    private readonly delegate* unmanaged<nuint*, nuint*, int> _memGetInfo;
    private readonly delegate* unmanaged<nint*, uint, int> _streamCreate;
    private readonly delegate* unmanaged<nint, int> _streamDestroy;
    private readonly delegate* unmanaged<nint, int> _streamSynchronize;
    private readonly delegate* unmanaged<nint*, nuint, uint, int> _hostAlloc;
    private readonly delegate* unmanaged<nint, int> _freeHost;
    private readonly delegate* unmanaged<nint, nint, nuint, int, nint, int> _copy;
    private readonly delegate* unmanaged<nint, nuint, nint, nuint, nuint, nuint, int, nint, int> _copyRows;

    /// <summary>Takes the functions.</summary>
    /// <param name="resolve">Address of a function by its exported name.</param>
    public CudaRuntime(Func<string, nint> resolve)
    {
        _getErrorString = (delegate* unmanaged<int, nint>)resolve("cudaGetErrorString");
        _getDeviceCount = (delegate* unmanaged<int*, int>)resolve("cudaGetDeviceCount");
        _setDevice = (delegate* unmanaged<int, int>)resolve("cudaSetDevice");
        _memGetInfo = (delegate* unmanaged<nuint*, nuint*, int>)resolve("cudaMemGetInfo");
        _streamCreate = (delegate* unmanaged<nint*, uint, int>)resolve("cudaStreamCreateWithFlags");
        _streamDestroy = (delegate* unmanaged<nint, int>)resolve("cudaStreamDestroy");
        _streamSynchronize = (delegate* unmanaged<nint, int>)resolve("cudaStreamSynchronize");
        _hostAlloc = (delegate* unmanaged<nint*, nuint, uint, int>)resolve("cudaHostAlloc");
        _freeHost = (delegate* unmanaged<nint, int>)resolve("cudaFreeHost");
        _copy = (delegate* unmanaged<nint, nint, nuint, int, nint, int>)resolve("cudaMemcpyAsync");
        _copyRows = (delegate* unmanaged<nint, nuint, nint, nuint, nuint, nuint, int, nint, int>)resolve("cudaMemcpy2DAsync");
    }

    /// <summary>Names of the library, newest first: the versions of CUDA for which the provider is built.</summary>
    public static IReadOnlyList<string> LibraryNames { get; } =
        OperatingSystem.IsWindows() ? ["cudart64_13.dll", "cudart64_12.dll"] : ["libcudart.so.13", "libcudart.so.12"];

    /// <summary>Loads the library from where the system looks for libraries.</summary>
    /// <returns>Null when there is none.</returns>
    public static CudaRuntime? TryLoad(IReadOnlyList<string> names)
    {
        foreach (var name in names)
        {
            if (NativeLibrary.TryLoad(name, out var library))
                return new(export => NativeLibrary.GetExport(library, export));
        }

        return null;
    }

    /// <summary>GPUs that the driver offers.</summary>
    /// <param name="problem">Why there is none; null where there is one.</param>
    public int CountDevices(out string? problem)
    {
        int count;
        var status = _getDeviceCount(&count);
        problem = status != 0 ? Describe(status) : count == 0 ? "no GPU" : null;
        return status == 0 ? count : 0;
    }

    /// <summary>Makes a GPU the one that this thread's calls are about.</summary>
    public void Use(int deviceId) => Check("cudaSetDevice", _setDevice(deviceId));

    /// <summary>Free and all memory of the GPU in use.</summary>
    public (nuint Free, nuint Total) ReadMemory()
    {
        nuint free, total;
        Check("cudaMemGetInfo", _memGetInfo(&free, &total));
        return (free, total);
    }

    /// <summary>A stream that waits for no other.</summary>
    public nint CreateStream()
    {
        nint stream;
        Check("cudaStreamCreateWithFlags", _streamCreate(&stream, NonBlockingStream));
        return stream;
    }

    /// <summary>Ends a stream.</summary>
    public void DestroyStream(nint stream) => Check("cudaStreamDestroy", _streamDestroy(stream));

    /// <summary>Waits until a stream is empty.</summary>
    public void Synchronize(nint stream) => Check("cudaStreamSynchronize", _streamSynchronize(stream));

    /// <summary>Main memory that a GPU copies from and to by itself.</summary>
    public nint AllocatePinned(nuint byteCount)
    {
        nint address;
        Check("cudaHostAlloc", _hostAlloc(&address, byteCount, 0));
        return address;
    }

    /// <summary>Frees such memory.</summary>
    public void FreePinned(nint address) => Check("cudaFreeHost", _freeHost(address));

    /// <summary>Copies pinned memory to the GPU.</summary>
    public void CopyIn(nint host, nint device, nuint byteCount, nint stream) => Check("cudaMemcpyAsync", _copy(device, host, byteCount, HostToDevice, stream));

    /// <summary>Copies the GPU's memory into pinned memory.</summary>
    public void CopyOut(nint device, nint host, nuint byteCount, nint stream) => Check("cudaMemcpyAsync", _copy(host, device, byteCount, DeviceToHost, stream));

    /// <summary>Copies rows of bytes within the GPU's memory.</summary>
    public void CopyRows(nint from, nint to, nuint rowBytes, nuint pitch, int rowCount, nint stream) =>
        Check("cudaMemcpy2DAsync", _copyRows(to, pitch, from, pitch, rowBytes, (nuint)rowCount, DeviceToDevice, stream));

    private string Describe(int status) => $"{Marshal.PtrToStringUTF8(_getErrorString(status))} (CUDA error {status})";

    private void Check(string function, int status)
    {
        if (status != 0)
            throw new DeviceException($"{function} failed: {Describe(status)}");
    }
}
