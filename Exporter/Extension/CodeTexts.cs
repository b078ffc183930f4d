using System.Numerics.Tensors;
using Tessera.Engine.Execution;
using Tessera.Exporter.Checkpoints;
using Tessera.Exporter.Graphs;
using Tessera.Exporter.Weights;
using Tessera.Models;

namespace Tessera.Exporter.Extension;

/// <summary>Which text each code of a codebook stands for, read with its decoder from the code alone.</summary>
internal static class CodeTexts
{
    private const int PadId = 0;

    /// <summary>Text ids per code, at least one each.</summary>
    /// <param name="folder">Folder with codebook.json and codebook.safetensors.</param>
    /// <param name="latentCount">Latents that are added.</param>
    /// <param name="textSize">Ids of the tokenizer.</param>
    /// <exception cref="ExportException">The codebook does not fit.</exception>
    public static IReadOnlyList<int[]> Read(string folder, int latentCount, int textSize)
    {
        var config = CodebookConfig.Read(Path.Combine(folder, CodebookConfig.FileName));
        if (config.CodeCount != latentCount)
        {
            throw new ExportException(CodebookConfig.FileName, "codes", $"{latentCount}, as --latents says", $"{config.CodeCount}");
        }

        if (config.TextVocabularySize > textSize)
        {
            throw new ExportException(CodebookConfig.FileName, "text_vocab_size", $"at most the tokenizer's {textSize} ids", $"{config.TextVocabularySize}");
        }

        var graphs = Directory.CreateTempSubdirectory("tessera-codebook-");
        try
        {
            return Read(config, Path.Combine(folder, CodebookConfig.WeightsFileName), graphs.FullName);
        }
        finally
        {
            graphs.Delete(recursive: true);
        }
    }

    private static List<int[]> Read(CodebookConfig config, string weightsPath, string folder)
    {
        var decoder = Path.Combine(folder, ModelPackage.CodebookDecoderFileName);
        var encoder = Path.Combine(folder, ModelPackage.CodebookEncoderFileName);
        using (var weights = SafeTensorsFile.Open(weightsPath))
        {
            CodebookDecoderGraph.Write(decoder, config, weights);
            CodebookEncoderGraph.Write(encoder, config, weights);
        }

        var shape = new Codebook
        {
            ChunkTokens = config.ChunkTokens,
            MinPromptTokens = config.QuestionTokens,
            MaxCodes = config.MaxSteps,
            TextVocabularySize = config.TextVocabularySize,
        };
        using var codebook = new OnnxCodebook(decoder, encoder, shape, config.CodeCount, PadId, static _ => "");
        var prompt = new int[config.QuestionTokens];
        var texts = new List<int[]>();
        for (var code = 0; code < config.CodeCount; code++)
        {
            var logits = codebook.Logits([code], prompt);
            var ids = Enumerable.Range(0, config.ChunkTokens)
                .Select(place => TensorPrimitives.IndexOfMax<float>(logits.AsSpan(place * config.TextVocabularySize, config.TextVocabularySize)))
                .Where(id => id != PadId)
                .ToArray();
            texts.Add(ids.Length > 0 ? ids : [PadId]);
        }

        return texts;
    }
}
