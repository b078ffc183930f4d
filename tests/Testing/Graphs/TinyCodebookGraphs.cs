using Tessera.Models;
using static Tessera.Testing.Graphs.OnnxGraphBuilder;

namespace Tessera.Testing.Graphs;

/// <summary>
/// Codebook graphs whose every answer can be worked out by hand. Decoder: <c>text_logits[code, position, token] = table[code, position, token]</c> plus the
/// sum of <c>prompt[id, token]</c> over the last prompt ids. Encoder: a step's code is the sum of its ids plus the sum of the prompt's ids.
/// </summary>
public static class TinyCodebookGraphs
{
    /// <summary>Shape of the graphs.</summary>
    public static readonly Codebook Shape = new() { ChunkTokens = 4, MinPromptTokens = 3, MaxCodes = 5, TextVocabularySize = 8 };

    /// <summary>Writes the decoder.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="table">[code, chunk token, text token].</param>
    /// <param name="prompt">[id, text token].</param>
    public static void SaveDecoder(string path, float[] table, float[] prompt)
    {
        var (length, width) = (Shape.ChunkTokens, Shape.TextVocabularySize);
        new OnnxGraphBuilder()
            .Input("codes", I64, "N", "k")
            .Input("prompt_ids", I64, "N", "P")
            .Output("text_logits", F32, "N", "k", length, width)
            .Constant("table", table, table.Length / (length * width), length, width)
            .Constant("prompt", prompt, prompt.Length / width, width)
            .Constant("first", [-(long)Shape.MinPromptTokens], 1)
            .Constant("end", [long.MaxValue], 1)
            .Constant("axis", [1L], 1)
            .Constant("axes", [1L, 2L], 2)
            .Node("Gather", ["table", "codes"], ["own"])
            .Node("Slice", ["prompt_ids", "first", "end", "axis"], ["question"])
            .Node("Gather", ["prompt", "question"], ["parts"])
            .Node("ReduceSum", ["parts", "axis"], ["condition"], ("keepdims", 0))
            .Node("Unsqueeze", ["condition", "axes"], ["everywhere"])
            .Node("Add", ["own", "everywhere"], ["text_logits"])
            .Save(path);
    }

    /// <summary>Writes the encoder.</summary>
    /// <param name="path">The .onnx file.</param>
    public static void SaveEncoder(string path) => new OnnxGraphBuilder()
        .Input("text_ids", I64, "N", "T")
        .Input("prompt_ids", I64, "N", "P")
        .Output("codes", I64, "N", "k")
        .Constant("steps", [1L, -1L, Shape.ChunkTokens], 3)
        .Constant("in_step", [2L], 1)
        .Constant("in_prompt", [1L], 1)
        .Node("Reshape", ["text_ids", "steps"], ["chunks"])
        .Node("ReduceSum", ["chunks", "in_step"], ["sums"], ("keepdims", 0))
        .Node("ReduceSum", ["prompt_ids", "in_prompt"], ["prompt_sum"], ("keepdims", 1))
        .Node("Add", ["sums", "prompt_sum"], ["codes"])
        .Save(path);
}
