using Tessera.Engine.Caching;
using Tessera.Engine.Execution.Devices;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>Memory of everything that a step reads and writes but keys and values; allocated once, so that a step allocates nothing.</summary>
internal sealed class StepBuffers : IDisposable
{
    // Where a device reads best; one block for all inputs, so that a step's copy to a device is one.
    private const int Alignment = 256;

    private readonly StepMemory _inputs;
    private readonly StepMemory _hostInputs;
    private readonly StepMemory _outputs;
    private readonly StepBuffer<long> _previousIds;
    private readonly StepBuffer<int> _sequenceLengths;
    private readonly StepBuffer<long> _logitsRows;
    private readonly StepBuffer<long> _ids;
    private readonly StepBuffer<int> _totalLength;
    private readonly StepBuffer<float> _logits;
    private readonly int _padId;
    private nuint _used;

    /// <summary>Allocates the memory.</summary>
    /// <param name="device">Whose memory.</param>
    /// <param name="architecture">Positions, vocabulary, n-gram embeddings.</param>
    /// <param name="slotCount">Most rows of a step.</param>
    /// <param name="promptPositions">Most positions of whole prompts in one call, padding included.</param>
    /// <param name="padId">Padding.</param>
    public StepBuffers(IModelDevice device, Architecture architecture, int slotCount, int promptPositions, int padId)
    {
        _padId = padId;
        PreviousIdCount = architecture.NgramEmbeddings;
        VocabularySize = architecture.VocabularySize;
        var idCount = Math.Max(Math.Max(architecture.MaxPositions, slotCount), promptPositions);

        // The ids come last: of them, a step uses the fewest.
        nuint size = 0;
        var previousIds = Take(checked(slotCount * Math.Max(1, PreviousIdCount)) * sizeof(long));
        var sequenceLengths = Take(slotCount * sizeof(int));
        var logitsRows = Take(slotCount * sizeof(long));
        var ids = Take(checked(idCount * sizeof(long)));
        var logitsCount = checked((slotCount + 1) * VocabularySize);
        _inputs = device.Allocate(size, staysOnHost: false);
        try
        {
            _hostInputs = device.Allocate(sizeof(int), staysOnHost: true);
            _outputs = device.Allocate((nuint)logitsCount * sizeof(float), staysOnHost: false);
        }
        catch
        {
            _hostInputs?.Dispose();
            _inputs.Dispose();
            throw;
        }

        _previousIds = new(_inputs, previousIds, slotCount * Math.Max(1, PreviousIdCount), OrtElementType.I64);
        _sequenceLengths = new(_inputs, sequenceLengths, slotCount, OrtElementType.I32);
        _logitsRows = new(_inputs, logitsRows, slotCount, OrtElementType.I64);
        _ids = new(_inputs, ids, idCount, OrtElementType.I64);
        _totalLength = new(_hostInputs, 0, 1, OrtElementType.I32);
        _logits = new(_outputs, 0, logitsCount, OrtElementType.F32);

        nuint Take(int byteCount)
        {
            var offset = size;
            size += ((nuint)byteCount + Alignment - 1) / Alignment * Alignment;
            return offset;
        }
    }

    /// <summary>Previous ids that a row needs; 0 for a plain graph.</summary>
    public int PreviousIdCount { get; }

    /// <summary>Width of a logits row.</summary>
    public int VocabularySize { get; }

    /// <summary>Writes the inputs of decode rows: one id each, logits of every row; then of rows that fill up the shape, each at the next position of its slot.</summary>
    public void WriteDecode(IReadOnlyList<SequenceSlice> slices, DecodeShape shape, KvCache cache)
    {
        var ids = _ids.Elements;
        var lengths = _sequenceLengths.Elements;
        var rows = _logitsRows.Elements;
        var total = 0;
        for (var row = 0; row < slices.Count; row++)
        {
            var slice = slices[row];
            ids[row] = slice.Ids.Span[slice.Start];
            lengths[row] = slice.Start;
            rows[row] = row;
            total = Math.Max(total, slice.Start + 1);
            WritePreviousIds(row, slice);
        }

        for (var row = slices.Count; row < shape.RowCount; row++)
        {
            ids[row] = _padId;
            lengths[row] = cache.PositionCount(row);
            rows[row] = row;
            total = Math.Max(total, lengths[row] + 1);
            _previousIds.Elements.Slice(row * PreviousIdCount, PreviousIdCount).Fill(_padId);
        }

        _totalLength.Elements[0] = shape.FixedTotalLength > 0 ? shape.FixedTotalLength : total;
        _used = _ids.EndOf(shape.RowCount);
    }

    /// <summary>Writes the inputs of one chunk: its ids, the logits of its last position.</summary>
    public void WritePrefill(SequenceSlice slice)
    {
        var ids = _ids.Elements;
        var source = slice.Ids.Span.Slice(slice.Start, slice.Count);
        for (var i = 0; i < source.Length; i++)
            ids[i] = source[i];
        _sequenceLengths.Elements[0] = slice.Start + slice.Count - 1;
        _totalLength.Elements[0] = slice.Start + slice.Count;
        _logitsRows.Elements[0] = slice.Count - 1;
        WritePreviousIds(0, slice);
        _used = _ids.EndOf(slice.Count);
    }

    /// <summary>Writes the inputs of whole prompts, one per row, padded on the right to the longest; the logits of each one's last position.</summary>
    /// <returns>Positions of the longest.</returns>
    /// <exception cref="ArgumentException">The padded prompts are more than there is memory for.</exception>
    public int WritePrompts(IReadOnlyList<SequenceSlice> slices)
    {
        var width = 0;
        foreach (var slice in slices)
            width = Math.Max(width, slice.Count);
        if ((long)slices.Count * width > _ids.Elements.Length)
            throw new ArgumentException($"{slices.Count} prompts of up to {width} positions; there is room for {_ids.Elements.Length}", nameof(slices));

        var ids = _ids.Elements[..(slices.Count * width)];
        ids.Fill(_padId);
        for (var row = 0; row < slices.Count; row++)
        {
            var slice = slices[row];
            var source = slice.Ids.Span[..slice.Count];
            for (var i = 0; i < source.Length; i++)
                ids[(row * width) + i] = source[i];
            _sequenceLengths.Elements[row] = slice.Count - 1;
            _logitsRows.Elements[row] = (row * width) + slice.Count - 1;
            WritePreviousIds(row, slice);
        }

        _totalLength.Elements[0] = width;
        _used = _ids.EndOf(slices.Count * width);
        return width;
    }

    /// <summary>Gives what was written to the device; before the run.</summary>
    public void Send() => _inputs.Send(_used);

    /// <summary>Waits for the run, and for rows of its logits; after it, before anything is written for the next one.</summary>
    public void Fetch(int firstRow, int rowCount)
    {
        var rowBytes = (nuint)VocabularySize * sizeof(float);
        _outputs.Fetch((nuint)firstRow * rowBytes, (nuint)rowCount * rowBytes);
    }

    /// <summary>Logits of the first rows.</summary>
    public ReadOnlySpan<float> LogitsOf(int rowCount) => _logits.Elements[..(rowCount * VocabularySize)];

    /// <summary><c>input_ids</c> [rows, positions], from the given row on.</summary>
    public OrtValue Ids(int firstRow, int rows, int positions) => _ids.Tensor(firstRow * positions, [rows, positions]);

    /// <summary><c>previous_ids</c> [rows, n], from the given row on.</summary>
    public OrtValue PreviousIds(int firstRow, int rows) => _previousIds.Tensor(firstRow * PreviousIdCount, [rows, PreviousIdCount]);

    /// <summary><c>seqlens_k</c> [rows], from the given row on.</summary>
    public OrtValue SequenceLengths(int firstRow, int rows) => _sequenceLengths.Tensor(firstRow, [rows]);

    /// <summary><c>total_sequence_length</c>, in the rank that the graph wants.</summary>
    public OrtValue TotalLength(int rank) => _totalLength.Tensor(0, rank == 0 ? [] : [1]);

    /// <summary><c>logits_rows</c> [rows]: rows count from a call's first.</summary>
    public OrtValue LogitsRows(int rows) => _logitsRows.Tensor(0, [rows]);

    /// <summary><c>logits</c> [rows, vocabulary], written from the given row of the buffer on.</summary>
    public OrtValue Logits(int firstRow, int rows) =>
        _logits.Tensor(firstRow * VocabularySize, [rows, VocabularySize]);

    public void Dispose()
    {
        _inputs.Dispose();
        _hostInputs.Dispose();
        _outputs.Dispose();
    }

    /// <summary>The ids at positions start-n to start-1, in order; the pad id stands before the first position.</summary>
    private void WritePreviousIds(int row, SequenceSlice slice)
    {
        if (PreviousIdCount == 0)
            return;
        var target = _previousIds.Elements.Slice(row * PreviousIdCount, PreviousIdCount);
        for (var i = 0; i < target.Length; i++)
        {
            var position = slice.Start - PreviousIdCount + i;
            target[i] = position < 0 ? _padId : slice.Ids.Span[position];
        }
    }
}

/// <summary>Elements in a part of a step's memory, over which tensors of several shapes are laid.</summary>
/// <typeparam name="T">Type of the elements; the one that <paramref name="type"/> names.</typeparam>
internal sealed unsafe class StepBuffer<T>(StepMemory memory, nuint offset, int length, OrtElementType type)
    where T : unmanaged
{
    /// <summary>All elements, as the host sees them.</summary>
    public Span<T> Elements => new((byte*)memory.Host + offset, length);

    /// <summary>Offset behind the first so many elements.</summary>
    public nuint EndOf(int count) => offset + ((nuint)count * (nuint)sizeof(T));

    /// <summary>A tensor over the elements from <paramref name="first"/> on, where the graph sees them.</summary>
    public OrtValue Tensor(int first, ReadOnlySpan<long> shape) => memory.Tensor(EndOf(first), shape, type);
}
