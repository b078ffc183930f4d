using System.Runtime.InteropServices;
using Tessera.Models;
using Tessera.Protos.Onnx;
using static Tessera.Testing.OnnxParts;
using Architecture = Tessera.Models.Architecture;

namespace Tessera.Testing;

/// <summary>
/// Graphs that keep to the graph contract and run, made of lookups alone: the next id depends on the last one, a hint on its code, a code on the first
/// token of its step.
/// </summary>
public static class TinyGraphs
{
    /// <summary>Name of the external file with the decoder's table.</summary>
    public const string DecoderDataFileName = "decoder.onnx.data";

    /// <summary>Logit of the id that follows; every other id has 0.</summary>
    public const float SuccessorLogit = 8;

    /// <summary>
    /// The decoder: the logits of a row are the row of <c>successors</c> [V, V], external in <see cref="DecoderDataFileName"/>, of the id in it. Keys and
    /// values pass through.
    /// </summary>
    public static ModelProto CreateDecoder(Architecture architecture)
    {
        var vocabulary = architecture.VocabularySize;
        var graph = new GraphProto { Name = "decoder" };
        graph.Input.Add(Port("input_ids", Int64Type, Open("batch"), Open("length")));
        graph.Input.Add(Port("seqlens_k", Int32Type, Open("batch")));
        graph.Input.Add(Port("total_sequence_length", Int32Type));
        graph.Input.Add(Port("logits_rows", Int64Type, Open("rows")));
        if (architecture.NgramEmbeddings > 0)
            graph.Input.Add(Port("previous_ids", Int64Type, Open("batch"), Fixed(architecture.NgramEmbeddings)));
        graph.Output.Add(Port("logits", FloatType, Open("rows"), Fixed(vocabulary)));
        graph.Initializer.Add(External("successors", FloatType, [vocabulary, vocabulary], DecoderDataFileName, 0));
        graph.Initializer.Add(Vector("all", -1));
        graph.Node.Add(Node("Reshape", ["input_ids", "all"], "flat_ids"));
        graph.Node.Add(Node("Gather", ["flat_ids", "logits_rows"], "row_ids"));
        graph.Node.Add(Node("Gather", ["successors", "row_ids"], "logits"));
        TensorShapeProto.Types.Dimension[] kv =
            [Open("batch"), Fixed(architecture.KvHeadCount), Fixed(architecture.MaxPositions), Fixed(architecture.HeadDim)];
        for (var layer = 0; layer < architecture.LayerCount; layer++)
        {
            foreach (var kind in (string[])["key", "value"])
            {
                graph.Input.Add(Port($"past_{kind}_{layer}", FloatType, kv));
                graph.Output.Add(Port($"present_{kind}_{layer}", FloatType, kv));
                graph.Node.Add(Node("Identity", [$"past_{kind}_{layer}"], $"present_{kind}_{layer}"));
            }
        }

        return Model(graph);
    }

    /// <summary>The table of <see cref="CreateDecoder"/> as the bytes of its external file.</summary>
    /// <param name="vocabularySize">Rows and columns.</param>
    /// <param name="successors">What follows each id; ids that are not named are followed by themselves.</param>
    public static byte[] CreateSuccessorTable(int vocabularySize, IReadOnlyDictionary<int, int> successors)
    {
        var table = new float[vocabularySize * vocabularySize];
        for (var id = 0; id < vocabularySize; id++)
            table[(id * vocabularySize) + successors.GetValueOrDefault(id, id)] = SuccessorLogit;
        return MemoryMarshal.AsBytes<float>(table).ToArray();
    }

    /// <summary>The codebook decoder: <c>hints</c> [K, L, V_text] looked up by code.</summary>
    /// <param name="codebook">Shape of the graph.</param>
    /// <param name="hints">Text ids of each code's hint, at most L each; the rest is pad (id 0).</param>
    public static ModelProto CreateCodebookDecoder(Codebook codebook, IReadOnlyList<IReadOnlyList<int>> hints)
    {
        var (length, vocabulary) = (codebook.ChunkTokens, codebook.TextVocabularySize);
        var table = new float[hints.Count * length * vocabulary];
        for (var code = 0; code < hints.Count; code++)
        {
            for (var i = 0; i < length; i++)
                table[(((code * length) + i) * vocabulary) + (i < hints[code].Count ? hints[code][i] : 0)] = SuccessorLogit;
        }

        var graph = new GraphProto { Name = "codebook-decoder" };
        graph.Input.Add(Port("codes", Int64Type, Open("batch"), Open("count")));
        graph.Input.Add(Port("prompt_ids", Int64Type, Open("batch"), Open("prompt")));
        graph.Output.Add(Port("text_logits", FloatType, Open("batch"), Open("count"), Fixed(length), Fixed(vocabulary)));
        graph.Initializer.Add(Inline("hints", FloatType, [hints.Count, length, vocabulary], MemoryMarshal.AsBytes<float>(table)));
        graph.Node.Add(Node("Gather", ["hints", "codes"], "text_logits"));
        return Model(graph);
    }

    /// <summary>The codebook encoder: a step's code is its first token modulo K.</summary>
    public static ModelProto CreateCodebookEncoder(Codebook codebook, int codeCount)
    {
        var graph = new GraphProto { Name = "codebook-encoder" };
        graph.Input.Add(Port("text_ids", Int64Type, Open("batch"), Open("text")));
        graph.Input.Add(Port("prompt_ids", Int64Type, Open("batch"), Open("prompt")));
        graph.Output.Add(Port("codes", Int64Type, Open("batch"), Open("count")));
        graph.Initializer.Add(Vector("chunks", 0, -1, codebook.ChunkTokens));
        graph.Initializer.Add(Inline("first", Int64Type, [], MemoryMarshal.AsBytes<long>([0])));
        graph.Initializer.Add(Inline("code_count", Int64Type, [], MemoryMarshal.AsBytes<long>([codeCount])));
        graph.Node.Add(Node("Reshape", ["text_ids", "chunks"], "steps"));
        var gather = Node("Gather", ["steps", "first"], "first_tokens");
        gather.Attribute.Add(new AttributeProto { Name = "axis", Type = AttributeProto.Types.AttributeType.Int, I = 2 });
        graph.Node.Add(gather);
        graph.Node.Add(Node("Mod", ["first_tokens", "code_count"], "codes"));
        return Model(graph);
    }
}
