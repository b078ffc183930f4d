using Tessera.Engine.Caching;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution.Devices;

/// <summary>Where a decoder runs and where its memory is. Owned by the engine's one thread, but for <see cref="Terminate"/> and <see cref="BytesInUse"/>.</summary>
internal interface IModelDevice : IDisposable
{
    /// <summary>Bytes of device memory held, as last measured; null in main memory.</summary>
    long? BytesInUse { get; }

    /// <summary>Row counts of decode calls that are worth running once before the first request; empty for none.</summary>
    IReadOnlyList<DecodeShape> PreparedShapes { get; }

    /// <summary>Fewest rows of logits that a call computes, wanted or not.</summary>
    int MinLogitsRows { get; }

    /// <summary>Into how many parts the decode rows of a step may be divided, to be run side by side; 1 = they are run in one call.</summary>
    int MaxDecodeParts(Architecture architecture);

    /// <summary>Loads the decoder graph, before memory is allocated. It is disposed of with the device.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="headSize">Elements of a head, for the choice of kernels.</param>
    /// <param name="kv">Type of keys and values, for the same.</param>
    /// <param name="ownThreads">Whether a run may take other threads than the one that calls.</param>
    OrtSession Load(string path, int headSize, OrtElementType kv, bool ownThreads = true);

    /// <summary>Memory for keys or values of all slots.</summary>
    IKvPool ReservePool(nuint byteCount);

    /// <summary>Memory of a step's inputs or outputs.</summary>
    /// <param name="byteCount">Bytes.</param>
    /// <param name="staysOnHost">Whether the graph reads it in main memory, whatever the device.</param>
    StepMemory Allocate(nuint byteCount, bool staysOnHost);

    /// <summary>A tensor over a pool's memory.</summary>
    OrtValue Tensor(nint address, ReadOnlySpan<long> shape, OrtElementType type);

    /// <summary>How decode rows are run.</summary>
    DecodeShape ShapeOf(int rowCount, KvCache cache);

    /// <summary>Runs a graph; what was sent before is seen by it. From several threads at once where decode rows are divided.</summary>
    /// <param name="session">The graph.</param>
    /// <param name="binding">Every input and output.</param>
    /// <param name="graphId">Which captured sequence of kernels is replayed, see <see cref="DecodeShape.GraphId"/>.</param>
    void Run(OrtSession session, OrtIoBinding binding, int graphId);

    /// <summary>Ends the run in progress at its next node, and every later run, with an <see cref="OrtException"/>; from any thread.</summary>
    void Terminate();
}

/// <summary>How decode rows are run.</summary>
/// <param name="RowCount">Rows of the call: those that are wanted, and then as many that are not as make it a shape that was captured.</param>
/// <param name="GraphId">Captured sequence of kernels; <see cref="NoGraph"/> to run node by node.</param>
/// <param name="FixedTotalLength">What <c>total_sequence_length</c> says, since a replayed sequence never reads it again; 0 = the longest row's positions.</param>
internal readonly record struct DecodeShape(int RowCount, int GraphId, int FixedTotalLength)
{
    /// <summary>The runtime's value for a run that neither captures nor replays.</summary>
    public const int NoGraph = -1;

    /// <summary>Just the wanted rows, node by node.</summary>
    public static DecodeShape Exact(int rowCount) => new(rowCount, NoGraph, 0);
}

/// <summary>Memory that the host writes or reads and the graph reads or writes; the same bytes where the graph runs in main memory.</summary>
internal abstract class StepMemory : IDisposable
{
    /// <summary>Address of the first byte in main memory.</summary>
    public abstract nint Host { get; }

    /// <summary>A tensor over the graph's side of the memory.</summary>
    public abstract OrtValue Tensor(nuint offset, ReadOnlySpan<long> shape, OrtElementType type);

    /// <summary>Gives the first bytes to the graph's side. They may be written again after <see cref="Fetch"/> of whatever the run gives.</summary>
    public abstract void Send(nuint byteCount);

    /// <summary>Waits until the device has finished, and reads a range of what the graph wrote.</summary>
    public abstract void Fetch(nuint offset, nuint byteCount);

    /// <inheritdoc/>
    public abstract void Dispose();
}
