namespace Tessera.Exporter.Checkpoints;

/// <summary>Shape of the VQ-VAE: the checked content of <c>codebook.json</c>.</summary>
internal sealed record CodebookConfig
{
    /// <summary>Name of the description.</summary>
    public const string FileName = "codebook.json";

    /// <summary>Name of the weights.</summary>
    public const string WeightsFileName = "codebook.safetensors";

    private const int Format = 1;
    private const int MaxSize = 1 << 20;

    /// <summary>Number of codes (K).</summary>
    public required int CodeCount { get; init; }

    /// <summary>Text tokens per chunk (L).</summary>
    public required int ChunkTokens { get; init; }

    /// <summary>Width of the text logits: ids below it are text.</summary>
    public required int TextVocabularySize { get; init; }

    /// <summary>Elements of the hidden vectors (D).</summary>
    public required int Dim { get; init; }

    /// <summary>Elements of a code vector (C).</summary>
    public required int CodeDim { get; init; }

    /// <summary>Attention heads; divides <see cref="Dim"/>.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Blocks that mix the steps of a trace.</summary>
    public required int StepBlockCount { get; init; }

    /// <summary>Blocks on every token position alone.</summary>
    public required int PositionBlockCount { get; init; }

    /// <summary>Last tokens of the prompt that the decoder sees (Q): the shortest prompt that the graphs take.</summary>
    public required int QuestionTokens { get; init; }

    /// <summary>Most codes of one trace.</summary>
    public required int MaxSteps { get; init; }

    /// <summary>Epsilon of the layer norms.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>Reads and checks a codebook.json.</summary>
    /// <exception cref="ExportException">A field is missing or wrong.</exception>
    public static CodebookConfig Read(string path)
    {
        var json = JsonFile.Open(path);
        json.Int("format", Format, Format);
        if (json.Text("activation") != "gelu_erf")
        {
            throw json.Bad("activation", "\"gelu_erf\"");
        }

        var config = new CodebookConfig
        {
            CodeCount = json.Int("codes", 1, MaxSize),
            ChunkTokens = json.Int("chunk_tokens", 1, 4096),
            TextVocabularySize = json.Int("text_vocab_size", 1, 1 << 24),
            Dim = json.Int("dim", 1, MaxSize),
            CodeDim = json.Int("code_dim", 1, MaxSize),
            HeadCount = json.Int("heads", 1, MaxSize),
            StepBlockCount = json.Int("step_blocks", 0, 1024),
            PositionBlockCount = json.Int("position_blocks", 0, 1024),
            QuestionTokens = json.Int("question_tokens", 1, MaxSize),
            MaxSteps = json.Int("max_steps", 1, 4096),
            NormEpsilon = (float)json.Positive("norm_eps"),
        };
        json.Int("min_prompt_tokens", config.QuestionTokens, config.QuestionTokens);
        return config.Dim % config.HeadCount == 0 ? config : throw json.Bad("heads", $"a divisor of dim ({config.Dim})");
    }
}
