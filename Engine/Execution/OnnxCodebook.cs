using System.Numerics.Tensors;
using Tessera.Engine.Runtime;
using Tessera.Models;

namespace Tessera.Engine.Execution;

/// <summary>The codebook's two graphs in ONNX Runtime. Thread-safe.</summary>
public sealed class OnnxCodebook : ICodebook
{
    private const string Codes = "codes";
    private const string PromptIds = "prompt_ids";
    private const string TextIds = "text_ids";
    private const string TextLogits = "text_logits";

    private readonly OrtSession _decoder;
    private readonly OrtSession _encoder;
    private readonly Codebook _shape;
    private readonly int _codeCount;
    private readonly int _padId;
    private readonly Func<int[], string> _decodeText;

    /// <summary>Loads both graphs.</summary>
    /// <param name="decoderPath">Codes to text.</param>
    /// <param name="encoderPath">Text to codes.</param>
    /// <param name="shape">What the manifest says; the graphs are checked against it.</param>
    /// <param name="codeCount">Number of codes (K).</param>
    /// <param name="padId">Pads short prompts on the left and short steps on the right; ends a hint.</param>
    /// <param name="decodeText">Text of text ids.</param>
    /// <exception cref="ModelPackageException">A graph cannot be loaded, or is not what the manifest says.</exception>
    public OnnxCodebook(string decoderPath, string encoderPath, Codebook shape, int codeCount, int padId, Func<int[], string> decodeText)
    {
        _shape = shape;
        _codeCount = codeCount;
        _padId = padId;
        _decodeText = decodeText;

        // One thread: the codebook runs beside the step loop and must not take its cores.
        _decoder = GraphLoader.Load(decoderPath, threads: 1);
        try
        {
            _encoder = GraphLoader.Load(encoderPath, threads: 1);
            Check(Path.GetFileName(decoderPath), Path.GetFileName(encoderPath));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A code is not one of the codebook.</exception>
    /// <exception cref="OrtException">The run failed.</exception>
    public IReadOnlyList<LatentHint> Decode(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds)
    {
        var count = Math.Min(codes.Count, _shape.MaxCodes);
        if (count == 0)
            return [];
        var logits = Logits(codes, promptIds);
        var width = _shape.ChunkTokens * _shape.TextVocabularySize;
        var hints = new LatentHint[count];
        for (var i = 0; i < count; i++)
            hints[i] = ReadHint(logits.AsSpan(i * width, width));
        return hints;
    }

    /// <summary>What <see cref="Decode"/> reads the hints from.</summary>
    /// <param name="codes">Codes of one span, in order; those past the manifest's max_codes are left out.</param>
    /// <param name="promptIds">Ids of the prompt; a short prompt is padded on the left.</param>
    /// <returns>Logits <c>[code, chunk token, text vocabulary]</c>, the last axis fastest.</returns>
    public float[] Logits(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds)
    {
        var count = Math.Min(codes.Count, _shape.MaxCodes);
        if (count == 0)
            return [];
        var input = new long[count];
        for (var i = 0; i < count; i++)
        {
            if (codes[i] < 0 || codes[i] >= _codeCount)
                throw new ArgumentException($"code {codes[i]} at {i} is outside of 0 to {_codeCount - 1}", nameof(codes));
            input[i] = codes[i];
        }

        using var codeTensor = OrtValue.From<long>(input, 1, count);
        using var prompt = Prompt(promptIds);
        using var logits = _decoder.Run([(Codes, codeTensor), (PromptIds, prompt)], [TextLogits])[0];
        return logits.Elements<float>().ToArray();
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">Too many steps, or a step is too long.</exception>
    /// <exception cref="OrtException">The run failed.</exception>
    public IReadOnlyList<int> Encode(IReadOnlyList<IReadOnlyList<int>> steps, IReadOnlyList<int> promptIds)
    {
        if (steps.Count == 0)
            return [];
        if (steps.Count > _shape.MaxCodes)
            throw new ArgumentException($"{steps.Count} steps, the codebook takes at most {_shape.MaxCodes}", nameof(steps));
        var text = new long[steps.Count * _shape.ChunkTokens];
        Array.Fill(text, _padId);
        for (var step = 0; step < steps.Count; step++)
        {
            if (steps[step].Count > _shape.ChunkTokens)
                throw new ArgumentException($"step {step} has {steps[step].Count} tokens, the codebook takes at most {_shape.ChunkTokens}", nameof(steps));
            for (var i = 0; i < steps[step].Count; i++)
                text[(step * _shape.ChunkTokens) + i] = steps[step][i];
        }

        using var textTensor = OrtValue.From<long>(text, 1, text.Length);
        using var prompt = Prompt(promptIds);
        using var codes = _encoder.Run([(TextIds, textTensor), (PromptIds, prompt)], [Codes])[0];
        return Array.ConvertAll(codes.Elements<long>().ToArray(), code => (int)code);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _decoder.Dispose();
        _encoder?.Dispose();
    }

    private void Check(string decoderFile, string encoderFile)
    {
        OrtTensorSpec codes = new(Codes, OrtElementType.I64, [-1, -1]);
        OrtTensorSpec prompt = new(PromptIds, OrtElementType.I64, [-1, -1]);
        OrtTensorSpec text = new(TextIds, OrtElementType.I64, [-1, -1]);
        OrtTensorSpec logits = new(TextLogits, OrtElementType.F32, [-1, -1, _shape.ChunkTokens, _shape.TextVocabularySize]);
        GraphCheck.Tensors(decoderFile, "input", [codes, prompt], _decoder.Inputs);
        GraphCheck.Tensors(decoderFile, "output", [logits], _decoder.Outputs);
        GraphCheck.Tensors(encoderFile, "input", [text, prompt], _encoder.Inputs);
        GraphCheck.Tensors(encoderFile, "output", [codes], _encoder.Outputs);
    }

    /// <summary><c>prompt_ids</c> [1, P], padded on the left to the shortest prompt that the graphs take.</summary>
    private OrtValue Prompt(IReadOnlyList<int> promptIds)
    {
        var padding = Math.Max(0, _shape.MinPromptTokens - promptIds.Count);
        var ids = new long[padding + promptIds.Count];
        Array.Fill(ids, _padId, 0, padding);
        for (var i = 0; i < promptIds.Count; i++)
            ids[padding + i] = promptIds[i];
        return OrtValue.From<long>(ids, 1, ids.Length);
    }

    /// <summary>The most probable tokens up to the first pad; their mean probability is the confidence, or the pad's when the hint is empty.</summary>
    private LatentHint ReadHint(Span<float> logits)
    {
        var ids = new List<int>(_shape.ChunkTokens);
        var confidence = 0f;
        for (var position = 0; position < _shape.ChunkTokens; position++)
        {
            var row = logits.Slice(position * _shape.TextVocabularySize, _shape.TextVocabularySize);
            var best = TensorPrimitives.IndexOfMax<float>(row);

            // Less the largest, so that no exponential overflows.
            TensorPrimitives.Subtract(row, row[best], row);
            TensorPrimitives.SoftMax(row, row);
            if (best == _padId)
            {
                if (ids.Count == 0)
                    confidence = row[best];
                break;
            }

            ids.Add(best);
            confidence += row[best];
        }

        return new LatentHint(_decodeText([.. ids]).Trim(), ids.Count, confidence / Math.Max(1, ids.Count));
    }
}
