using System.Buffers.Binary;
using System.Text;
using Tessera.Bench.Timing;

namespace Tessera.Bench.LlamaCpp;

/// <summary>How llama.cpp stores a matrix.</summary>
internal enum GgufType
{
    /// <summary>32-bit floats.</summary>
    F32 = 0,

    /// <summary>4-bit weights, blocks of 32 with one f16 scale: 18 bytes.</summary>
    Q4_0 = 2,

    /// <summary>8-bit weights, blocks of 32 with one f16 scale: 34 bytes.</summary>
    Q8_0 = 8,
}

/// <summary>Writes a Llama decoder with random weights as a GGUF file (format version 3, described in ggml's docs/gguf.md).</summary>
internal sealed class GgufWriter : IDisposable
{
    private const int Alignment = 32;
    private const int BlockElements = 32;
    private readonly FileStream _file;
    private readonly Random _random = new(1);
    private readonly List<(string Name, long Rows, long Columns, GgufType Type)> _tensors = [];

    private GgufWriter(string path) => _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);

    /// <summary>Writes the file; one matrix type for all matrices, embeddings tied to the head as in the 1B shape.</summary>
    public static void Write(string path, ModelShape shape, GgufType type)
    {
        using var writer = new GgufWriter(path);
        writer.List(shape, type);
        writer.WriteHead(shape);
        writer.WriteData();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private void List(ModelShape shape, GgufType type)
    {
        Add("token_embd.weight", shape.Vocabulary, shape.Hidden, type);
        Add("output_norm.weight", 1, shape.Hidden, GgufType.F32);
        for (var layer = 0; layer < shape.Layers; layer++)
        {
            var name = $"blk.{layer}.";
            Add(name + "attn_norm.weight", 1, shape.Hidden, GgufType.F32);
            Add(name + "ffn_norm.weight", 1, shape.Hidden, GgufType.F32);
            Add(name + "attn_q.weight", shape.Heads * shape.HeadDim, shape.Hidden, type);
            Add(name + "attn_k.weight", shape.KvHeads * shape.HeadDim, shape.Hidden, type);
            Add(name + "attn_v.weight", shape.KvHeads * shape.HeadDim, shape.Hidden, type);
            Add(name + "attn_output.weight", shape.Hidden, shape.Heads * shape.HeadDim, type);
            Add(name + "ffn_gate.weight", shape.FeedForward, shape.Hidden, type);
            Add(name + "ffn_up.weight", shape.FeedForward, shape.Hidden, type);
            Add(name + "ffn_down.weight", shape.Hidden, shape.FeedForward, type);
        }

        void Add(string name, long rows, long columns, GgufType t) => _tensors.Add((name, rows, columns, t));
    }

    private void WriteHead(ModelShape shape)
    {
        (string Key, object Value)[] values =
        [
            ("general.architecture", "llama"),
            ("llama.context_length", 8192u),
            ("llama.embedding_length", (uint)shape.Hidden),
            ("llama.block_count", (uint)shape.Layers),
            ("llama.feed_forward_length", (uint)shape.FeedForward),
            ("llama.attention.head_count", (uint)shape.Heads),
            ("llama.attention.head_count_kv", (uint)shape.KvHeads),
            ("llama.attention.layer_norm_rms_epsilon", 1e-5f),
            ("llama.rope.dimension_count", (uint)shape.HeadDim),
            ("llama.rope.freq_base", 500_000f),
            ("llama.vocab_size", (uint)shape.Vocabulary),
            ("tokenizer.ggml.model", "none"),
        ];
        _file.Write("GGUF"u8);
        Write(3u);
        Write((ulong)_tensors.Count);
        Write((ulong)values.Length);
        foreach (var (key, value) in values)
        {
            Write(key);
            WriteValue(value);
        }

        var offset = 0L;
        foreach (var (name, rows, columns, type) in _tensors)
        {
            Write(name);
            Write(rows == 1 ? 1u : 2u);
            Write((ulong)columns);
            if (rows > 1)
            {
                Write((ulong)rows);
            }

            Write((uint)type);
            Write((ulong)offset);
            offset += Aligned(ByteCount(rows, columns, type));
        }

        Pad(_file.Position);
    }

    private void WriteData()
    {
        var buffer = new byte[BlockElements * 34 * 4096];
        foreach (var (_, rows, columns, type) in _tensors)
        {
            var left = ByteCount(rows, columns, type);
            var unit = BlockBytes(type);
            while (left > 0)
            {
                var count = (int)Math.Min(left, buffer.Length / unit * unit);
                Fill(buffer.AsSpan(0, count), type);
                _file.Write(buffer.AsSpan(0, count));
                left -= count;
            }

            Pad(ByteCount(rows, columns, type));
        }
    }

    // Random quants with the scale at which weights have a standard deviation of 0.02; norms are ones.
    private void Fill(Span<byte> bytes, GgufType type)
    {
        if (type == GgufType.F32)
        {
            for (var i = 0; i < bytes.Length; i += 4)
            {
                BinaryPrimitives.WriteSingleLittleEndian(bytes[i..], 1f);
            }

            return;
        }

        _random.NextBytes(bytes);
        var scale = (Half)(type == GgufType.Q4_0 ? 0.02 / 4.6 : 0.02 / 73);
        for (var i = 0; i < bytes.Length; i += BlockBytes(type))
        {
            BinaryPrimitives.WriteHalfLittleEndian(bytes[i..], scale);
        }
    }

    private static int BlockBytes(GgufType type) => type switch { GgufType.Q4_0 => 18, GgufType.Q8_0 => 34, _ => 4 };

    private static long ByteCount(long rows, long columns, GgufType type) =>
        type == GgufType.F32 ? rows * columns * 4 : rows * columns / BlockElements * BlockBytes(type);

    private static long Aligned(long count) => (count + Alignment - 1) / Alignment * Alignment;

    private void Pad(long written) => _file.Write(new byte[Aligned(written) - written]);

    private void WriteValue(object value)
    {
        switch (value)
        {
            case uint number:
                Write(4u);
                Write(number);
                break;
            case float number:
                Write(6u);
                Write(BitConverter.SingleToUInt32Bits(number));
                break;
            case string text:
                Write(8u);
                Write(text);
                break;
            default:
                throw new ArgumentException($"no GGUF type for {value.GetType()}", nameof(value));
        }
    }

    private void Write(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Write((ulong)bytes.Length);
        _file.Write(bytes);
    }

    private void Write(uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        _file.Write(bytes);
    }

    private void Write(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        _file.Write(bytes);
    }
}
