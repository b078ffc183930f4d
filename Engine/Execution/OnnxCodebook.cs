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

    // Logits of one run: 16 MiB, some 600 codes of the shipped model; one span may take more.
    private const long MaxBatchLogits = 4 * 1024 * 1024;

    private readonly OrtSession _decoder;
    private readonly OrtSession _encoder;
    private readonly Codebook _shape;
    private readonly int _hintWidth;
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
        _hintWidth = shape.ChunkTokens * shape.TextVocabularySize;
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
    public IReadOnlyList<LatentHint> Decode(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds) => DecodeSpans([new CodedSpan(codes, promptIds)])[0];

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">A code is not one of the codebook.</exception>
    /// <exception cref="OrtException">A run failed.</exception>
    public IReadOnlyList<IReadOnlyList<LatentHint>> DecodeSpans(IReadOnlyList<CodedSpan> spans)
    {
        var hints = new IReadOnlyList<LatentHint>[spans.Count];
        var scratch = new float[_shape.TextVocabularySize];
        for (var first = 0; first < spans.Count;)
        {
            var (count, longest) = NextBatch(spans, first);
            if (longest == 0)
            {
                Array.Fill(hints, [], first, count);
            }
            else
            {
                using var logits = Run(spans, first, count, longest);
                for (var i = 0; i < count; i++)
                    hints[first + i] = ReadSpan(logits.Elements<float>()[(i * longest * _hintWidth)..], CodeCount(spans[first + i]), scratch);
            }

            first += count;
        }

        return hints;
    }

    /// <summary>What <see cref="Decode"/> reads the hints from.</summary>
    /// <param name="codes">Codes of one span, in order; those past the manifest's max_codes are left out.</param>
    /// <param name="promptIds">Ids of the prompt; a short prompt is padded on the left.</param>
    /// <returns>Logits <c>[code, chunk token, text vocabulary]</c>, the last axis fastest.</returns>
    public float[] Logits(IReadOnlyList<int> codes, IReadOnlyList<int> promptIds)
    {
        CodedSpan[] spans = [new(codes, promptIds)];
        var (count, longest) = NextBatch(spans, 0);
        if (longest == 0)
            return [];
        using var logits = Run(spans, 0, count, longest);
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
        using var prompt = WholePrompt(promptIds);
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

    // Spans from the first on that run together, and codes of the longest: as many as their logits, padded, leave within the bound.
    private (int Count, int Longest) NextBatch(IReadOnlyList<CodedSpan> spans, int first)
    {
        var longest = CodeCount(spans[first]);
        var count = 1;
        while (first + count < spans.Count)
        {
            var wider = Math.Max(longest, CodeCount(spans[first + count]));
            if ((count + 1L) * wider * _hintWidth > MaxBatchLogits)
                break;
            (count, longest) = (count + 1, wider);
        }

        return (count, longest);
    }

    private int CodeCount(CodedSpan span) => Math.Min(span.Codes.Count, _shape.MaxCodes);

    /// <summary>
    /// Text logits <c>[span, code, chunk token, text vocabulary]</c>. A code is read with those before it alone, so that shorter spans can be padded on the right.
    /// </summary>
    private OrtValue Run(IReadOnlyList<CodedSpan> spans, int first, int count, int longest)
    {
        var codes = new long[count * longest];
        var tail = Math.Max(1, _shape.MinPromptTokens);
        var prompts = new long[count * tail];
        for (var row = 0; row < count; row++)
        {
            var span = spans[first + row];
            var codeCount = CodeCount(span);
            for (var i = 0; i < codeCount; i++)
            {
                if (span.Codes[i] < 0 || span.Codes[i] >= _codeCount)
                    throw new ArgumentException($"code {span.Codes[i]} at {i} is outside of 0 to {_codeCount - 1}", nameof(spans));
                codes[(row * longest) + i] = span.Codes[i];
            }

            for (var i = 0; i < tail; i++)
            {
                var position = span.PromptIds.Count - tail + i;
                prompts[(row * tail) + i] = position < 0 ? _padId : span.PromptIds[position];
            }
        }

        using var codeTensor = OrtValue.From<long>(codes, count, longest);
        using var promptTensor = OrtValue.From<long>(prompts, count, tail);
        return _decoder.Run([(Codes, codeTensor), (PromptIds, promptTensor)], [TextLogits])[0];
    }

    /// <summary><c>prompt_ids</c> [1, P], padded on the left to the shortest prompt that the graphs take.</summary>
    private OrtValue WholePrompt(IReadOnlyList<int> promptIds)
    {
        var padding = Math.Max(0, _shape.MinPromptTokens - promptIds.Count);
        var ids = new long[padding + promptIds.Count];
        Array.Fill(ids, _padId, 0, padding);
        for (var i = 0; i < promptIds.Count; i++)
            ids[padding + i] = promptIds[i];
        return OrtValue.From<long>(ids, 1, ids.Length);
    }

    private LatentHint[] ReadSpan(ReadOnlySpan<float> logits, int codeCount, Span<float> scratch)
    {
        var hints = new LatentHint[codeCount];
        for (var i = 0; i < codeCount; i++)
            hints[i] = ReadHint(logits.Slice(i * _hintWidth, _hintWidth), scratch);
        return hints;
    }

    /// <summary>The most probable tokens up to the first pad; their mean probability is the confidence, or the pad's when the hint is empty.</summary>
    private LatentHint ReadHint(ReadOnlySpan<float> logits, Span<float> scratch)
    {
        var ids = new List<int>(_shape.ChunkTokens);
        var confidence = 0f;
        for (var position = 0; position < _shape.ChunkTokens; position++)
        {
            var row = logits.Slice(position * _shape.TextVocabularySize, _shape.TextVocabularySize);
            var best = TensorPrimitives.IndexOfMax(row);
            if (best == _padId)
            {
                if (ids.Count == 0)
                    confidence = ProbabilityOfLargest(row, best, scratch);
                break;
            }

            ids.Add(best);
            confidence += ProbabilityOfLargest(row, best, scratch);
        }

        return new LatentHint(_decodeText([.. ids]).Trim(), ids.Count, confidence / Math.Max(1, ids.Count));
    }

    // Less the largest, so that no exponential overflows.
    private static float ProbabilityOfLargest(ReadOnlySpan<float> row, int best, Span<float> scratch)
    {
        TensorPrimitives.Subtract(row, row[best], scratch);
        TensorPrimitives.Exp(scratch, scratch);
        return scratch[best] / TensorPrimitives.Sum<float>(scratch);
    }
}
