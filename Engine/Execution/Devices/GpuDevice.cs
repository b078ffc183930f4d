using Tessera.Engine.Caching;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution.Devices;

/// <summary>
/// A device with memory of its own: keys, values, inputs and logits are in its memory at fixed addresses; what the host writes and reads goes through pinned
/// memory. A call costs one copy in, one copy out and one wait.
/// </summary>
/// <param name="gpu">The native calls; owned.</param>
/// <param name="shapes">Which decode shapes are captured.</param>
internal sealed class GpuDevice(IGpu gpu, DecodeShapes shapes) : IModelDevice
{
    /// <inheritdoc/>
    public long? BytesInUse => gpu.BytesInUse;

    /// <inheritdoc/>
    public IReadOnlyList<DecodeShape> PreparedShapes => shapes.Captured;

    /// <inheritdoc/>
    /// <remarks>A kernel that is started on no rows is an error there.</remarks>
    public int MinLogitsRows => 1;

    /// <inheritdoc/>
    public int MaxDecodeParts(Architecture architecture) => 1;

    /// <inheritdoc/>
    public OrtSession Load(string path, int headSize, OrtElementType kv, bool ownThreads) => gpu.Load(path);

    /// <inheritdoc/>
    public IKvPool ReservePool(nuint byteCount) => new DevicePool(gpu, byteCount);

    /// <inheritdoc/>
    public StepMemory Allocate(nuint byteCount, bool staysOnHost) => staysOnHost ? new PinnedMemory(gpu, byteCount) : new StagedMemory(gpu, byteCount);

    /// <inheritdoc/>
    public OrtValue Tensor(nint address, ReadOnlySpan<long> shape, OrtElementType type) => gpu.Tensor(address, shape, type);

    /// <inheritdoc/>
    public DecodeShape ShapeOf(int rowCount, KvCache cache) => shapes.For(rowCount, cache);

    /// <inheritdoc/>
    public void Run(OrtSession session, OrtIoBinding binding, int graphId) => gpu.Run(session, binding, graphId);

    /// <inheritdoc/>
    public void Terminate() => gpu.Terminate();

    /// <inheritdoc/>
    public void Dispose() => gpu.Dispose();

    /// <summary>A block of device memory: taken at once and kept, since a captured graph has its addresses.</summary>
    private sealed class DevicePool(IGpu gpu, nuint byteCount) : IKvPool
    {
        private readonly nint _address = gpu.Allocate(byteCount);

        public nuint ByteCount => byteCount;

        public nint Address => IsClosed ? throw new ObjectDisposedException(nameof(DevicePool)) : _address;

        public bool IsClosed { get; private set; }

        public void CopyRows(nuint from, nuint to, nuint rowBytes, nuint pitch, int rowCount) =>
            gpu.CopyRows(Address + (nint)from, Address + (nint)to, rowBytes, pitch, rowCount);

        public void GiveBack(nuint offset, nuint byteCount)
        {
            // Device memory is reserved as a whole: the next sequence of the slot writes over it.
        }

        public void Dispose()
        {
            if (!IsClosed)
                gpu.Free(_address);
            IsClosed = true;
        }
    }

    /// <summary>Memory on both sides.</summary>
    private sealed class StagedMemory : StepMemory
    {
        private readonly IGpu _gpu;
        private readonly PinnedMemory _host;
        private readonly nint _device;
        private bool _isDisposed;

        public StagedMemory(IGpu gpu, nuint byteCount)
        {
            _gpu = gpu;
            _host = new PinnedMemory(gpu, byteCount);
            try
            {
                _device = gpu.Allocate(byteCount);
            }
            catch
            {
                _host.Dispose();
                throw;
            }
        }

        public override nint Host => _host.Host;

        public override OrtValue Tensor(nuint offset, ReadOnlySpan<long> shape, OrtElementType type) => _gpu.Tensor(_device + (nint)offset, shape, type);

        public override void Send(nuint byteCount) => _gpu.CopyIn(Host, _device, byteCount);

        public override void Fetch(nuint offset, nuint byteCount)
        {
            if (byteCount > 0)
                _gpu.CopyOut(_device + (nint)offset, Host + (nint)offset, byteCount);

            // Also when nothing is read: what was sent may be written again from here on.
            _gpu.Synchronize();
        }

        public override void Dispose()
        {
            if (!_isDisposed)
                _gpu.Free(_device);
            _isDisposed = true;
            _host.Dispose();
        }
    }

    /// <summary>Main memory that the device reads by itself, or that only the host's side of a run reads.</summary>
    private sealed class PinnedMemory(IGpu gpu, nuint byteCount) : StepMemory
    {
        private readonly nint _address = gpu.AllocatePinned(byteCount);
        private bool _isDisposed;

        public override nint Host => _isDisposed ? throw new ObjectDisposedException(nameof(StepMemory)) : _address;

        public override OrtValue Tensor(nuint offset, ReadOnlySpan<long> shape, OrtElementType type) => OrtValue.FromMemory(Host + (nint)offset, shape, type);

        public override void Send(nuint byteCount)
        {
        }

        public override void Fetch(nuint offset, nuint byteCount)
        {
        }

        public override void Dispose()
        {
            if (!_isDisposed)
                gpu.FreePinned(_address);
            _isDisposed = true;
        }
    }
}
