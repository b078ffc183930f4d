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

    /// <summary>One position of each of the sequences in slots 0 to <paramref name="rows"/>-1.</summary>
    public static DecoderBinding ForDecode(LoadedDecoder decoder, StepBuffers buffers, KvCache cache, int rows)
    {
        var binding = ForPrompts(decoder, buffers, cache, firstSlot: 0, rows);
        binding.BindIds(rows, positions: 1);
        binding.BindLogits(firstRow: 0, rows);
        return binding;
    }

    /// <summary>A chunk of the sequence in one slot, or whole prompts of those in neighbouring slots; ids and logits are bound for each call.</summary>
    public static DecoderBinding ForPrompts(LoadedDecoder decoder, StepBuffers buffers, KvCache cache, int firstSlot, int rows)
    {
        var binding = new DecoderBinding(decoder.Session, buffers);
        try
        {
            binding.Input(DecoderContract.SequenceLengths, buffers.SequenceLengths(rows));
            binding.Input(DecoderContract.TotalLength, buffers.TotalLength(decoder.TotalLengthRank));
            if (buffers.PreviousIdCount > 0)
                binding.Input(DecoderContract.PreviousIds, buffers.PreviousIds(rows));
            binding.BindCache(decoder, cache, firstSlot, rows);
            return binding;
        }
        catch
        {
            binding.Dispose();
            throw;
        }
    }

    /// <summary>Binds the padded length of whole prompts and where their logits go.</summary>
    public void BindPrompts(int rows, int positions, int logitsRow)
    {
        BindIds(rows, positions);
        BindLogits(logitsRow, rows);
    }

    /// <summary>Binds a chunk's length, how many rows of logits it gives, and where they go.</summary>
    public void BindChunk(int positions, int logitsRow, int rowCount)
    {
        BindIds(1, positions);
        BindLogits(logitsRow, rowCount);
    }

    public void Dispose() => _binding.Dispose();

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

    private void BindIds(int rows, int positions) => Input(DecoderContract.InputIds, _buffers.Ids(rows, positions));

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
