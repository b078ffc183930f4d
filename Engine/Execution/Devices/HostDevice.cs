using Tessera.Engine.Caching;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution.Devices;

/// <summary>The processor: the graph reads and writes the host's own memory, so nothing is copied, and every decode call has just the wanted rows.</summary>
/// <param name="threads">Threads of one run; 0 = the machine's cores.</param>
/// <param name="spinMicroseconds">How long a waiting thread spins inside a run; 0 = not at all.</param>
/// <param name="ownKernels">Whether our kernels compute the attention where they can; else the runtime's, to compare them.</param>
internal sealed class HostDevice(int threads, int spinMicroseconds = 0, bool ownKernels = true) : IModelDevice
{
    private readonly OrtRunOptions _runOptions = new();
    private readonly List<OrtSession> _sessions = [];

    /// <inheritdoc/>
    public long? BytesInUse => null;

    /// <inheritdoc/>
    public IReadOnlyList<DecodeShape> PreparedShapes => [];

    /// <inheritdoc/>
    public int MinLogitsRows => 0;

    /// <inheritdoc/>
    public int MaxDecodeParts(Architecture architecture) =>
        ownKernels ? DecodePolicy.MaxParts(architecture, threads == 0 ? Environment.ProcessorCount : threads) : 1;

    /// <inheritdoc/>
    public OrtSession Load(string path, int headSize, OrtElementType kv, bool ownThreads)
    {
        var (count, spin) = ownThreads ? (threads, spinMicroseconds) : (1, 0);
        var session = ownKernels ? GraphLoader.LoadDecoder(path, headSize, kv, count, spin) : GraphLoader.Load(path, count, spin);
        _sessions.Add(session);
        return session;
    }

    /// <inheritdoc/>
    public IKvPool ReservePool(nuint byteCount) => KvMemory.Reserve(byteCount);

    /// <inheritdoc/>
    public StepMemory Allocate(nuint byteCount, bool staysOnHost) => new HostMemory(byteCount);

    /// <inheritdoc/>
    public OrtValue Tensor(nint address, ReadOnlySpan<long> shape, OrtElementType type) => OrtValue.FromMemory(address, shape, type);

    /// <inheritdoc/>
    public DecodeShape ShapeOf(int rowCount, KvCache cache) => DecodeShape.Exact(rowCount);

    /// <inheritdoc/>
    public void Run(OrtSession session, OrtIoBinding binding, int graphId) => session.Run(binding, _runOptions);

    /// <inheritdoc/>
    public void Terminate() => _runOptions.Terminate();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var session in _sessions)
            session.Dispose();
        _runOptions.Dispose();
    }

    private sealed class HostMemory : StepMemory
    {
        private readonly OrtValue _memory;
        private readonly nint _data;

        public HostMemory(nuint byteCount)
        {
            _memory = OrtValue.Allocate([(long)byteCount], OrtElementType.U8);
            _data = _memory.Data;
        }

        public override nint Host => _memory.IsClosed ? throw new ObjectDisposedException(nameof(StepMemory)) : _data;

        public override OrtValue Tensor(nuint offset, ReadOnlySpan<long> shape, OrtElementType type) => OrtValue.FromMemory(Host + (nint)offset, shape, type);

        public override void Send(nuint byteCount)
        {
        }

        public override void Fetch(nuint offset, nuint byteCount)
        {
        }

        public override void Dispose() => _memory.Dispose();
    }
}
