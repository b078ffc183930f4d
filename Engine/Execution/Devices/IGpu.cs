using Tessera.Engine.Runtime;

namespace Tessera.Engine.Execution.Devices;

/// <summary>
/// The few native calls that a device with memory of its own needs. All copies and runs go into one queue of the device and happen in the order in which they
/// were asked for, at the latest when <see cref="Synchronize"/> returns. Device addresses mean nothing to the host.
/// </summary>
internal interface IGpu : IDisposable
{
    /// <summary>Bytes of device memory that the runtime holds, as last measured; safe from any thread.</summary>
    long BytesInUse { get; }

    /// <summary>Loads a graph on the device; once, before memory is allocated. It is disposed of with the device.</summary>
    OrtSession Load(string path);

    /// <summary>Allocates device memory.</summary>
    /// <exception cref="DeviceException">There is not so much.</exception>
    nint Allocate(nuint byteCount);

    /// <summary>Frees device memory.</summary>
    void Free(nint address);

    /// <summary>Allocates main memory that the device can copy from and to by itself.</summary>
    nint AllocatePinned(nuint byteCount);

    /// <summary>Frees such memory.</summary>
    void FreePinned(nint address);

    /// <summary>A tensor over device memory.</summary>
    OrtValue Tensor(nint address, ReadOnlySpan<long> shape, OrtElementType type);

    /// <summary>Copies pinned memory to the device; it must not change before the next <see cref="Synchronize"/>.</summary>
    void CopyIn(nint host, nint device, nuint byteCount);

    /// <summary>Copies device memory into pinned memory; it is there after the next <see cref="Synchronize"/>.</summary>
    void CopyOut(nint device, nint host, nuint byteCount);

    /// <summary>Copies rows of bytes within device memory; the ranges do not overlap.</summary>
    void CopyRows(nint from, nint to, nuint rowBytes, nuint pitch, int rowCount);

    /// <summary>Runs a graph; with an id other than <see cref="DecodeShape.NoGraph"/> the first run captures its kernels, later ones replay them.</summary>
    void Run(OrtSession session, OrtIoBinding binding, int graphId);

    /// <summary>Waits until the device has done everything.</summary>
    void Synchronize();

    /// <summary>Ends the run in progress, and every later one; from any thread.</summary>
    void Terminate();
}
