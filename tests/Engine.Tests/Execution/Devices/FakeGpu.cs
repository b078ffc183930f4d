using System.Runtime.InteropServices;
using Tessera.Engine.Execution;
using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Tests.Execution.Devices;

/// <summary>
/// A device whose memory is main memory that nobody else may touch: its addresses are shifted, so that whoever uses one as a pointer, or a pointer as one, is
/// found out. It is as late as a device may be: copies and runs happen when it is waited for, in order, and read the host's memory only then. Fresh memory is full of
/// NaN. A captured run is replayed with the bindings and the host inputs of its capture, as a CUDA graph is.
/// </summary>
internal sealed unsafe class FakeGpu : IGpu
{
    private static readonly nint Shift = (nint)1 << 52;

    private readonly SortedList<nint, nuint> _device = [];
    private readonly SortedList<nint, nuint> _pinned = [];
    private readonly HashSet<nint> _staging = [];
    private readonly Queue<Action> _queue = new();
    private readonly Dictionary<int, Capture> _captures = [];
    private readonly GraphRunOptions _runOptions = new();
    private OrtSession? _session;

    /// <summary>Graph ids of all runs, in order.</summary>
    public List<int> RunIds { get; } = [];

    /// <summary>Threads that ran something.</summary>
    public HashSet<int> RunThreads { get; } = [];

    /// <summary>Copies so far: to the device, from it, rows within it.</summary>
    public (int In, int Out, int Rows) CopyCounts { get; private set; }

    /// <summary>The one number that a captured call has from main memory, by graph id: <c>total_sequence_length</c>.</summary>
    public IReadOnlyDictionary<int, int> CapturedHostInputs => _captures.ToDictionary(
        capture => capture.Key, capture => BitConverter.ToInt32(Assert.Single(capture.Value.HostInputs, input => input.Bytes.Length == sizeof(int)).Bytes));

    /// <summary>Whether everything was freed.</summary>
    public bool IsEmpty => _device.Count == 0 && _pinned.Count == 0;

    public bool IsDisposed { get; private set; }

    /// <summary>Elements of a head of the graph; our kernels are made for one size, and with another the runtime's would compute.</summary>
    public int HeadSize { get; init; } = 16;

    /// <summary>Type of the graph's keys and values, for the same reason.</summary>
    public OrtElementType Kv { get; init; } = OrtElementType.F32;

    /// <summary>Bytes that an allocation may have; more fails.</summary>
    public nuint MaxAllocation { get; init; } = nuint.MaxValue;

    public long BytesInUse => _device.Values.Sum(bytes => (long)bytes);

    // The same kernels as in main memory: only where the memory is may make a difference.
    public OrtSession Load(string path) =>
        _session = GraphLoader.LoadDecoder(path, HeadSize, Kv, threads: 1, spinMicroseconds: 0);

    public nint Allocate(nuint byteCount)
    {
        if (byteCount > MaxAllocation)
            throw new DeviceException($"{byteCount} bytes are too many");
        var memory = (nint)NativeMemory.AlignedAlloc(byteCount, 256);
        new Span<byte>((void*)memory, checked((int)byteCount)).Fill(0xFF);
        _device.Add(memory + Shift, byteCount);
        return memory + Shift;
    }

    public void Free(nint address)
    {
        Synchronize();
        Assert.True(_device.Remove(address), "freed twice, or never allocated");
        NativeMemory.AlignedFree((void*)(address - Shift));
    }

    public nint AllocatePinned(nuint byteCount)
    {
        var memory = (nint)NativeMemory.AlignedAlloc(byteCount, 64);
        _pinned.Add(memory, byteCount);
        return memory;
    }

    public void FreePinned(nint address)
    {
        Assert.True(_pinned.Remove(address), "freed twice, or never allocated");
        NativeMemory.AlignedFree((void*)address);
    }

    public OrtValue Tensor(nint address, ReadOnlySpan<long> shape, OrtElementType type)
    {
        long count = 1;
        foreach (var axis in shape)
            count *= axis;
        Assert.True(count > 0, "kernels cannot be started on nothing");
        return OrtValue.FromMemory((nint)Device(address, (nuint)(count * OrtValue.SizeOf(type))), shape, type);
    }

    public void CopyIn(nint host, nint device, nuint byteCount)
    {
        var (source, target) = (Pinned(host, byteCount), (nint)Device(device, byteCount));
        CopyCounts = CopyCounts with { In = CopyCounts.In + 1 };
        _queue.Enqueue(() => Buffer.MemoryCopy((void*)source, (void*)target, byteCount, byteCount));
    }

    public void CopyOut(nint device, nint host, nuint byteCount)
    {
        var (source, target) = ((nint)Device(device, byteCount), Pinned(host, byteCount));
        CopyCounts = CopyCounts with { Out = CopyCounts.Out + 1 };

        // Until it is waited for, the host's side holds nothing that could pass for logits.
        new Span<byte>((void*)target, checked((int)byteCount)).Fill(0xFF);
        _queue.Enqueue(() => Buffer.MemoryCopy((void*)source, (void*)target, byteCount, byteCount));
    }

    public void CopyRows(nint from, nint to, nuint rowBytes, nuint pitch, int rowCount)
    {
        var extent = (pitch * (nuint)(rowCount - 1)) + rowBytes;
        var (source, target) = ((nint)Device(from, extent), (nint)Device(to, extent));
        CopyCounts = CopyCounts with { Rows = CopyCounts.Rows + 1 };
        _queue.Enqueue(() =>
        {
            for (var row = 0; row < rowCount; row++)
                Buffer.MemoryCopy((byte*)source + ((nuint)row * pitch), (byte*)target + ((nuint)row * pitch), rowBytes, rowBytes);
        });
    }

    public void Run(OrtSession session, OrtIoBinding binding, int graphId)
    {
        RunIds.Add(graphId);
        RunThreads.Add(Environment.CurrentManagedThreadId);
        var hostInputs = HostInputs().ToList();
        if (graphId != DecodeShape.NoGraph)
        {
            if (!_captures.TryGetValue(graphId, out var capture))
                _captures.Add(graphId, capture = new Capture(binding, hostInputs));
            Assert.Same(capture.Binding, binding);
            hostInputs = capture.HostInputs;
        }

        // Host inputs are read when the run is asked for, or were when it was captured; everything else when it happens.
        _queue.Enqueue(() =>
        {
            var now = HostInputs().ToList();
            Restore(hostInputs);
            session.Run(binding, _runOptions.For(graphId));
            Restore(now);
        });
    }

    public void Synchronize()
    {
        while (_queue.TryDequeue(out var action))
            action();
    }

    public void Terminate() => _runOptions.Terminate();

    public void Dispose()
    {
        Assert.True(IsEmpty, "memory of the device outlives it");
        _session?.Dispose();
        _runOptions.Dispose();
        IsDisposed = true;
    }

    /// <summary>Pinned memory that was never copied from or to: the graph reads it on the host.</summary>
    private IEnumerable<(nint Address, byte[] Bytes)> HostInputs() =>
        _pinned.Where(block => !_staging.Contains(block.Key)).Select(block => (block.Key, new Span<byte>((void*)block.Key, (int)block.Value).ToArray()));

    private static void Restore(IEnumerable<(nint Address, byte[] Bytes)> blocks)
    {
        foreach (var (address, bytes) in blocks)
            bytes.CopyTo(new Span<byte>((void*)address, bytes.Length));
    }

    private void* Device(nint address, nuint byteCount)
    {
        RequireWithin(_device, address, byteCount, "device");
        return (void*)(address - Shift);
    }

    private nint Pinned(nint address, nuint byteCount)
    {
        _staging.Add(RequireWithin(_pinned, address, byteCount, "pinned"));
        return address;
    }

    private static nint RequireWithin(SortedList<nint, nuint> blocks, nint address, nuint byteCount, string kind)
    {
        foreach (var (first, size) in blocks)
        {
            if (address >= first && (nuint)(address - first) + byteCount <= size)
                return first;
        }

        throw new InvalidOperationException($"{byteCount} bytes from {address:x} on are not within {kind} memory");
    }

    private sealed record Capture(OrtIoBinding Binding, List<(nint Address, byte[] Bytes)> HostInputs);
}
