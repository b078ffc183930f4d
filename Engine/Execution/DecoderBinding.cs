using Tessera.Engine.Caching;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Execution;

/// <summary>
/// Inputs and outputs of the decoder graph bound for a number of rows over neighbouring slots of the KV cache: past and present of a layer are the same
/// memory, so keys and values are written in place.
/// </summary>
internal sealed class DecoderBinding : IDisposable
{
    private readonly OrtIoBinding _binding;
    private readonly StepBuffers _buffers;

    private DecoderBinding(OrtSession session, StepBuffers buffers)
    {
        _binding = new OrtIoBinding(session);
        _buffers = buffers;
    }

    /// <summary>The bound inputs and outputs.</summary>
    public OrtIoBinding Bound => _binding;

    /// <summary>One position of each of the sequences in some neighbouring slots; slots are the step's rows.</summary>
    public static DecoderBinding ForDecode(LoadedDecoder decoder, StepBuffers buffers, KvCache cache, int firstSlot, int rows)
    {
        var binding = Create(decoder, decoder.DecodeSession, buffers, cache, firstSlot, firstSlot, rows);
        binding.BindIds(firstSlot, rows, positions: 1);
        binding.BindLogits(firstSlot, rows);
        return binding;
    }

    /// <summary>A chunk of the sequence in one slot, or whole prompts of those in neighbouring slots; ids and logits are bound for each call.</summary>
    public static DecoderBinding ForPrompts(LoadedDecoder decoder, StepBuffers buffers, KvCache cache, int firstSlot, int rows) =>
        Create(decoder, decoder.Session, buffers, cache, firstSlot, firstRow: 0, rows);

    /// <summary>Binds the padded length of whole prompts and where their logits go.</summary>
    public void BindPrompts(int rows, int positions, int logitsRow)
    {
        BindIds(firstRow: 0, rows, positions);
        BindLogits(logitsRow, rows);
    }

    /// <summary>Binds a chunk's length, how many rows of logits it gives, and where they go.</summary>
    public void BindChunk(int positions, int logitsRow, int rowCount)
    {
        BindIds(firstRow: 0, rows: 1, positions);
        BindLogits(logitsRow, rowCount);
    }

    public void Dispose() => _binding.Dispose();

    private static DecoderBinding Create(LoadedDecoder decoder, OrtSession session, StepBuffers buffers, KvCache cache, int firstSlot, int firstRow, int rows)
    {
        var binding = new DecoderBinding(session, buffers);
        try
        {
            binding.Input(DecoderContract.SequenceLengths, buffers.SequenceLengths(firstRow, rows));
            binding.Input(DecoderContract.TotalLength, buffers.TotalLength(decoder.TotalLengthRank));
            if (buffers.PreviousIdCount > 0)
                binding.Input(DecoderContract.PreviousIds, buffers.PreviousIds(firstRow, rows));
            binding.BindCache(decoder, cache, firstSlot, rows);
            return binding;
        }
        catch
        {
            binding.Dispose();
            throw;
        }
    }

    private void BindCache(LoadedDecoder decoder, KvCache cache, int firstSlot, int rows)
    {
        long[] shape = [rows, cache.KvHeadCount, cache.MaxPositions, cache.HeadDim];
        for (var layer = 0; layer < cache.LayerCount; layer++)
        {
            using var keys = decoder.Device.Tensor(cache.Keys(layer, firstSlot), shape, decoder.KvType);
            using var values = decoder.Device.Tensor(cache.Values(layer, firstSlot), shape, decoder.KvType);
            _binding.BindInput(DecoderContract.PastKey(layer), keys);
            _binding.BindInput(DecoderContract.PastValue(layer), values);
            _binding.BindOutput(DecoderContract.PresentKey(layer), keys);
            _binding.BindOutput(DecoderContract.PresentValue(layer), values);
        }
    }

    private void BindIds(int firstRow, int rows, int positions) => Input(DecoderContract.InputIds, _buffers.Ids(firstRow, rows, positions));

    private void BindLogits(int firstRow, int rows)
    {
        Input(DecoderContract.LogitsRows, _buffers.LogitsRows(rows));
        using var logits = _buffers.Logits(firstRow, rows);
        _binding.BindOutput(DecoderContract.Logits, logits);
    }

    // The binding holds the tensor itself; ours can go.
    private void Input(string name, OrtValue value)
    {
        using (value)
            _binding.BindInput(name, value);
    }
}
