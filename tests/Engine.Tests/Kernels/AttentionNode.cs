using Tessera.Engine.Kernels;
using Tessera.Engine.Runtime;
using Tessera.Testing;
using Tessera.Testing.Graphs;
using static Tessera.Testing.Graphs.OnnxGraphBuilder;

namespace Tessera.Engine.Tests.Kernels;

/// <summary>Shape of an attention node.</summary>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Heads of keys and values.</param>
/// <param name="Size">Elements of a head.</param>
/// <param name="Window">Positions that a query sees; 0 = all.</param>
/// <param name="IsPacked">Whether queries, keys and values are one input.</param>
/// <param name="IsByte">Whether the cache has 8 bits.</param>
/// <param name="Rotary">Whether keys and queries are turned.</param>
/// <param name="IsWide">Whether our kernels compute with vectors of 512 bits, which every machine can, some slowly; else of 256.</param>
public sealed record AttentionShape(
    int Heads, int KvHeads, int Size, int Window = 0, bool IsPacked = true, bool IsByte = false, bool Rotary = true, bool IsWide = false)
{
    /// <summary>Numbers of one position: its queries, keys and values.</summary>
    public int Width => (Heads + (2 * KvHeads)) * Size;
}

/// <summary>A graph of one attention node over a cache in place, with our kernels or the runtime's own.</summary>
internal sealed class AttentionNode : IDisposable
{
    public const int Rows = 4;
    public const int Capacity = 96;

    private readonly AttentionShape _shape;
    private readonly OrtSession _session;
    private readonly OrtRunOptions _options = new();
    private readonly OrtValue[] _caches;

    public AttentionNode(TemporaryFolder folder, AttentionShape shape, bool isOurs, int threads = 1, params (string Name, object Value)[] attributes)
    {
        _shape = shape;
        var path = Describe(shape, attributes).Save(folder[$"{Guid.NewGuid():N}.onnx"]);
        using var options = new OrtSessionOptions(threads);
        if (isOurs)
            new OwnKernels(AttentionOperator.Of(shape.IsByte ? OrtElementType.I8 : OrtElementType.F32, shape.IsWide), Matrix: null).AddTo(options);
        _session = new OrtSession(path, options);
        _caches = [.. Enumerable.Range(0, 2).Select(_ => OrtValue.Allocate([Rows, shape.KvHeads, Capacity, shape.Size], shape.IsByte ? OrtElementType.I8 : OrtElementType.F32))];
        foreach (var cache in _caches)
            Bytes(cache).Clear();
    }

    /// <summary>Runs neighbouring rows from <paramref name="firstRow"/> on.</summary>
    /// <param name="firstRow">First row of the cache.</param>
    /// <param name="inputs">Per row: [position, width], the same number of positions each.</param>
    /// <param name="last">Per row: position of its last new key.</param>
    /// <param name="total">Largest number of positions of a row, or the capacity.</param>
    /// <returns>Per row: [position, heads * size].</returns>
    public float[][] Run(int firstRow, float[][] inputs, int[] last, int total)
    {
        var positions = inputs[0].Length / _shape.Width;
        var width = _shape.Heads * _shape.Size;
        var output = new float[inputs.Length * positions * width];
        using var binding = new OrtIoBinding(_session);
        var values = new List<OrtValue>();
        foreach (var (name, from, to) in Parts())
        {
            var part = inputs.SelectMany(row => row.Chunk(_shape.Width)).SelectMany(position => position[from..to]).ToArray();
            Bind(name, OrtValue.From(part, inputs.Length, positions, to - from));
        }

        Bind("seqlens_k", OrtValue.From(last, last.Length));
        Bind("total_sequence_length", OrtValue.From([total], 1));
        foreach (var (name, cache) in new[] { "key", "value" }.Zip(_caches))
        {
            var rowBytes = Bytes(cache).Length / Rows;
            var part = OrtValue.FromMemory(cache.Data + (firstRow * rowBytes), [inputs.Length, _shape.KvHeads, Capacity, _shape.Size], _shape.IsByte ? OrtElementType.I8 : OrtElementType.F32);
            Bind($"past_{name}", part);
            binding.BindOutput($"present_{name}", part);
        }

        using var result = OrtValue.From(output, inputs.Length, positions, width);
        binding.BindOutput("output", result);
        _session.Run(binding, _options);
        foreach (var value in values)
            value.Dispose();
        return [.. result.Elements<float>().ToArray().Chunk(positions * width)];

        void Bind(string name, OrtValue value)
        {
            values.Add(value);
            binding.BindInput(name, value);
        }
    }

    /// <summary>Keys, then values, as bytes.</summary>
    public byte[] Cache() => [.. Bytes(_caches[0]), .. Bytes(_caches[1])];

    public void Dispose()
    {
        foreach (var cache in _caches)
            cache.Dispose();
        _session.Dispose();
        _options.Dispose();
    }

    internal static OnnxGraphBuilder Describe(AttentionShape shape, params (string Name, object Value)[] attributes)
    {
        var graph = new OnnxGraphBuilder();
        foreach (var (name, from, to) in Parts(shape))
            graph.Input(name, F32, "B", "S", to - from);
        graph.Input("seqlens_k", I32, "B").Input("total_sequence_length", I32, 1);
        foreach (var name in new[] { "key", "value" })
        {
            graph.Input($"past_{name}", shape.IsByte ? I8 : F32, "B", shape.KvHeads, Capacity, shape.Size);
            graph.Output($"present_{name}", shape.IsByte ? I8 : F32, "B", shape.KvHeads, Capacity, shape.Size);
        }

        graph.Output("output", F32, "B", "S", shape.Heads * shape.Size);
        var half = shape.Size / 2;
        var angles = Enumerable.Range(0, Capacity * half).Select(i => i / half / Math.Pow(10_000, 2.0 * (i % half) / shape.Size)).ToArray();
        graph.Constant("cos", angles.Select(angle => (float)Math.Cos(angle)).ToArray(), Capacity, half);
        graph.Constant("sin", angles.Select(angle => (float)Math.Sin(angle)).ToArray(), Capacity, half);
        List<string> inputs =
        [
            .. shape.IsPacked ? ["query", "", ""] : new[] { "query", "key", "value" }, "past_key", "past_value", "seqlens_k", "total_sequence_length",
            .. shape.Rotary ? new[] { "cos", "sin" } : ["", ""],
        ];
        List<(string, object)> all = [.. attributes, ("num_heads", shape.Heads), ("kv_num_heads", shape.KvHeads), ("do_rotary", shape.Rotary ? 1 : 0)];
        if (shape.Window > 0)
            all.Add(("local_window_size", shape.Window));
        if (shape.IsByte)
        {
            var scales = Enumerable.Range(0, shape.KvHeads * shape.Size).Select(i => 0.02f + (0.0001f * i)).ToArray();
            graph.Constant("key_scales", scales, scales.Length).Constant("value_scales", scales, scales.Length);
            inputs.AddRange(["", "", "", "key_scales", "value_scales"]);
            all.AddRange([("k_quant_type", "PER_CHANNEL"), ("v_quant_type", "PER_CHANNEL"), ("kv_cache_bit_width", 8)]);
        }

        return graph.Node(ContribDomain, "GroupQueryAttention", [.. inputs], ["output", "present_key", "present_value"], [.. all]);
    }

    private IEnumerable<(string Name, int From, int To)> Parts() => Parts(_shape);

    private static IEnumerable<(string Name, int From, int To)> Parts(AttentionShape shape)
    {
        if (shape.IsPacked)
            return [("query", 0, shape.Width)];
        var (queries, keys) = (shape.Heads * shape.Size, (shape.Heads + shape.KvHeads) * shape.Size);
        return [("query", 0, queries), ("key", queries, keys), ("value", keys, shape.Width)];
    }

    private Span<byte> Bytes(OrtValue cache) =>
        _shape.IsByte ? System.Runtime.InteropServices.MemoryMarshal.AsBytes(cache.Elements<sbyte>()) : System.Runtime.InteropServices.MemoryMarshal.AsBytes(cache.Elements<float>());
}
