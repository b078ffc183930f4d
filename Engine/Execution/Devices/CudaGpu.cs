using Tessera.Engine.Runtime;

namespace Tessera.Engine.Execution.Devices;

/// <summary>
/// An NVIDIA GPU through the runtime's CUDA provider. Everything goes into one stream, the runtime's kernels too. Device memory comes from the session's own
/// allocator, so that the memory limit covers keys and values; copies and pinned memory come from CUDA's runtime library.
/// </summary>
internal sealed class CudaGpu : IGpu
{
    private const string MemoryName = "Cuda";
    private const int RunsBetweenMeasurements = 64;

    private readonly CudaRuntime _cuda;
    private readonly EngineOptions _options;
    private readonly nint _stream;
    private readonly GraphRunOptions _runOptions = new();
    private OrtSession? _session;
    private OrtMemoryInfo? _memory;
    private OrtAllocator? _allocator;
    private long _bytesInUse;
    private int _runsSinceMeasurement;

    private CudaGpu(CudaRuntime cuda, EngineOptions options)
    {
        _cuda = cuda;
        _options = options;
        cuda.Use(options.DeviceId);
        _stream = cuda.CreateStream();
    }

    /// <inheritdoc/>
    public long BytesInUse => Volatile.Read(ref _bytesInUse);

    private OrtAllocator Allocator => _allocator ?? throw new InvalidOperationException("no graph is loaded");

    /// <summary>Takes a GPU.</summary>
    /// <exception cref="DeviceException">Says what is missing: the provider, CUDA's library, the driver or the GPU.</exception>
    /// <exception cref="OrtLibraryException">The native runtime itself cannot be used.</exception>
    public static CudaGpu Open(EngineOptions options) => Open(options, OrtLibrary.LoadedPath, CudaRuntime.LibraryNames);

    /// <summary>The same with the places to look in.</summary>
    /// <param name="options">Which GPU, and how it is used.</param>
    /// <param name="runtimePath">Path of the native runtime: the provider is looked for beside it.</param>
    /// <param name="cudaNames">Names of CUDA's runtime library.</param>
    internal static CudaGpu Open(EngineOptions options, string runtimePath, IReadOnlyList<string> cudaNames)
    {
        var missing = OrtCudaProvider.MissingFiles(Path.GetDirectoryName(runtimePath)!);
        if (missing.Count > 0)
            throw Missing($"ONNX Runtime's CUDA provider beside '{runtimePath}'", $"no {string.Join(" and no ", missing)} there");
        var cuda = CudaRuntime.TryLoad(cudaNames) ?? throw Missing("CUDA's runtime library", $"no {string.Join(" and no ", cudaNames)} where the system looks for libraries");
        return Open(options, cuda);
    }

    /// <summary>The same with CUDA's functions.</summary>
    internal static CudaGpu Open(EngineOptions options, CudaRuntime cuda)
    {
        var count = cuda.CountDevices(out var problem);
        if (problem is not null)
            throw Missing("an NVIDIA GPU and its driver", problem);
        if (options.DeviceId >= count)
            throw new DeviceException($"Engine:DeviceId: expected 0 to {count - 1}, the GPUs that the driver offers, found {options.DeviceId}");
        return new CudaGpu(cuda, options);
    }

    /// <inheritdoc/>
    public OrtSession Load(string path)
    {
        _session = GraphLoader.Load(path, threads: 1, configure: Configure);
        _memory = OrtMemoryInfo.Create(MemoryName, _options.DeviceId);
        _allocator = new OrtAllocator(_session, _memory);
        return _session;
    }

    /// <inheritdoc/>
    public nint Allocate(nuint byteCount)
    {
        _cuda.Use(_options.DeviceId);
        try
        {
            var address = Allocator.Allocate(byteCount);
            Measure();
            return address;
        }
        catch (OrtException exception)
        {
            var (free, total) = _cuda.ReadMemory();
            throw new DeviceException(
                $"GPU {_options.DeviceId}: expected {byteCount:N0} bytes of device memory in one piece, found {free:N0} free of {total:N0}"
                + (_options.DeviceMemoryMiB > 0 ? $" and Engine:DeviceMemoryMiB {_options.DeviceMemoryMiB}" : "")
                + "; keys and values take slots and kept prompts (Engine:MaxSlots, Engine:PrefixCacheEntries) x the package's positions",
                exception);
        }
    }

    /// <inheritdoc/>
    public void Free(nint address) => Allocator.Free(address);

    /// <inheritdoc/>
    public nint AllocatePinned(nuint byteCount)
    {
        _cuda.Use(_options.DeviceId);
        return _cuda.AllocatePinned(byteCount);
    }

    /// <inheritdoc/>
    public void FreePinned(nint address) => _cuda.FreePinned(address);

    /// <inheritdoc/>
    public OrtValue Tensor(nint address, ReadOnlySpan<long> shape, OrtElementType type) =>
        OrtValue.FromMemory(address, shape, type, _memory ?? throw new InvalidOperationException("no graph is loaded"));

    /// <inheritdoc/>
    public void CopyIn(nint host, nint device, nuint byteCount)
    {
        // Which GPU is meant is a matter of the thread, and the one that loads is not the one that runs.
        _cuda.Use(_options.DeviceId);
        _cuda.CopyIn(host, device, byteCount, _stream);
    }

    /// <inheritdoc/>
    public void CopyOut(nint device, nint host, nuint byteCount) => _cuda.CopyOut(device, host, byteCount, _stream);

    /// <inheritdoc/>
    public void CopyRows(nint from, nint to, nuint rowBytes, nuint pitch, int rowCount)
    {
        _cuda.Use(_options.DeviceId);
        _cuda.CopyRows(from, to, rowBytes, pitch, rowCount, _stream);
    }

    /// <inheritdoc/>
    public void Run(OrtSession session, OrtIoBinding binding, int graphId)
    {
        session.Run(binding, _runOptions.For(graphId));
        if (_runsSinceMeasurement++ % RunsBetweenMeasurements == 0)
            Measure();
    }

    /// <inheritdoc/>
    public void Synchronize() => _cuda.Synchronize(_stream);

    /// <inheritdoc/>
    public void Terminate() => _runOptions.Terminate();

    /// <inheritdoc/>
    public void Dispose()
    {
        // The session runs on the stream until it is gone.
        _allocator?.Dispose();
        _memory?.Dispose();
        _session?.Dispose();
        _runOptions.Dispose();
        _cuda.DestroyStream(_stream);
    }

    private static DeviceException Missing(string expected, string found) => new($"Engine:Device: cuda needs {expected}; found {found} (docs/how-to/run-on-a-gpu.md)");

    private void Configure(OrtSessionOptions session)
    {
        foreach (var (key, value) in CudaSettings.SessionEntries)
            session.AddConfigEntry(key, value);
        try
        {
            OrtCudaProvider.Append(session, CudaSettings.ProviderEntries(_options), _stream);
        }
        catch (OrtException exception)
        {
            throw Missing("a CUDA provider that ONNX Runtime can load", exception.Message.ReplaceLineEndings(" "));
        }
    }

    private void Measure() => Volatile.Write(ref _bytesInUse, Allocator.TotalBytes);
}
