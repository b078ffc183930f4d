namespace Tessera.Exporter.Checkpoints;

/// <summary>Shape of the language model: the checked content of a checkpoint's <c>config.json</c> (Hugging Face names).</summary>
internal sealed record CheckpointConfig
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "config.json";

    private const int MaxSize = 1 << 20;
    private const int MaxLayers = 1024;
    private const int MaxHeadDim = 4096;
    private const int MaxPositionsLimit = 1 << 22;

    // The rotary kernel wants half of a head in groups of eight.
    private const int HeadDimMultiple = 16;

    /// <summary><c>model_type</c>: a name of <see cref="ModelFamily.All"/>.</summary>
    public required string Family { get; init; }

    /// <summary>Elements of the residual stream (d).</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Elements inside the MLP.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Transformer layers.</summary>
    public required int LayerCount { get; init; }

    /// <summary>Query heads.</summary>
    public required int HeadCount { get; init; }

    /// <summary>Key and value heads; divides <see cref="HeadCount"/>.</summary>
    public required int KvHeadCount { get; init; }

    /// <summary>Elements per head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Width of the logits (V).</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Positions of a sequence.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Epsilon of the RMS norms.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>Frequencies of the rotary embedding.</summary>
    public required RopeScaling Rope { get; init; }

    /// <summary>Whether the head is the embedding table.</summary>
    public required bool TiedHead { get; init; }

    /// <summary>How many previous ids' embeddings are added at the input.</summary>
    public int NgramEmbeddings { get; init; }

    /// <summary>Whether q, k and v have biases.</summary>
    public bool AttentionBias { get; init; }

    /// <summary>Whether the attention's output has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether the MLP has biases.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Whether queries and keys go through a norm of their own.</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>Window of each layer in positions, the query's own included; 0 = none. Empty = none in any layer.</summary>
    public IReadOnlyList<int> Windows { get; init; } = [];

    /// <summary>Ids that <c>pad_token_id</c> and <c>eos_token_id</c> name; null where they name none.</summary>
    public (int? Pad, int? Eos) EndIds { get; init; }

    /// <summary>The window of a layer; 0 = none.</summary>
    public int WindowOf(int layer) => Windows.Count == 0 ? 0 : Windows[layer];

    /// <summary>Parameters of the decoder, embeddings and head included.</summary>
    public long ParameterCount => LayerParameterCount * LayerCount + ((TiedHead ? 1L : 2L) + NgramEmbeddings) * VocabularySize * HiddenSize;

    /// <summary>Parameters of one layer's matrices.</summary>
    public long LayerParameterCount => ((2L * (HeadCount + KvHeadCount) * HeadDim) + (3L * IntermediateSize)) * HiddenSize;

    /// <summary>Reads and checks a config.json.</summary>
    /// <exception cref="ExportException">A field is missing or wrong, or asks for something that the decoder graph does not do.</exception>
    public static CheckpointConfig Read(string path)
    {
        var json = JsonFile.Open(path);
        var family = ModelFamily.Read(json);
        RefuseWhatIsNotDone(json, family);
        var hidden = json.Int("hidden_size", 1, MaxSize);
        var heads = json.Int("num_attention_heads", 1, MaxSize);
        var kvHeads = json.Int("num_key_value_heads", 1, heads, otherwise: heads);
        if (heads % kvHeads != 0)
        {
            throw json.Bad("num_key_value_heads", $"a divisor of num_attention_heads ({heads})");
        }

        var headDim = json.Int("head_dim", 1, MaxHeadDim, otherwise: family.DefaultHeadDim > 0 ? family.DefaultHeadDim : hidden / heads);
        if (headDim % HeadDimMultiple != 0 || headDim == 0)
        {
            throw json.Bad("head_dim", $"a multiple of {HeadDimMultiple} (found or computed: {headDim})");
        }

        var layers = json.Int("num_hidden_layers", 1, MaxLayers);
        var positions = json.Int("max_position_embeddings", 1, MaxPositionsLimit);
        return new CheckpointConfig
        {
            Family = family.ModelType,
            HiddenSize = hidden,
            IntermediateSize = json.Int("intermediate_size", 1, MaxSize),
            LayerCount = layers,
            HeadCount = heads,
            KvHeadCount = kvHeads,
            HeadDim = headDim,
            VocabularySize = json.Int("vocab_size", 1, 1 << 24),
            MaxPositions = positions,
            NormEpsilon = (float)json.Positive("rms_norm_eps"),
            Rope = RopeScaling.Read(json, positions),
            TiedHead = json.Flag("tie_word_embeddings", otherwise: false),
            NgramEmbeddings = json.Int("ngram_embeddings", 0, family.MaxNgrams, otherwise: 0),
            AttentionBias = HasBias(json, family.AttentionBias, "attention_bias"),
            OutputBias = HasBias(json, family.OutputBias, "attention_bias"),
            MlpBias = HasBias(json, family.MlpBias, "mlp_bias"),
            QueryKeyNorm = family.QueryKeyNorm,
            Windows = family.ReadWindows(json, layers),
            EndIds = (json.FirstInt("pad_token_id"), json.FirstInt("eos_token_id")),
        };
    }

    /// <summary>The same model with fewer or, where its rotary scaling reaches further, more positions.</summary>
    /// <exception cref="ExportException">More than the model takes.</exception>
    public CheckpointConfig WithPositions(int count)
    {
        var reach = Rope.ReachOf(MaxPositions);
        return count >= 1 && count <= reach
            ? this with { MaxPositions = count }
            : throw new ExportException(FileName, "--max-positions", $"1 to {reach}, which this model's rotary embedding reaches", $"{count}");
    }

    private static bool HasBias(JsonFile json, BiasRule rule, string flag) =>
        rule == BiasRule.Always || (rule == BiasRule.AsConfigured && json.Flag(flag, otherwise: false));

    private static void RefuseWhatIsNotDone(JsonFile json, ModelFamily family)
    {
        if (json.Has("quantization_config"))
        {
            throw json.Bad("quantization_config", "null (weights in floating point)");
        }

        foreach (var (name, rule) in (ReadOnlySpan<(string, BiasRule)>)[("attention_bias", family.AttentionBias), ("mlp_bias", family.MlpBias)])
        {
            if (rule == BiasRule.Never && json.Flag(name, otherwise: false))
            {
                throw json.Bad(name, $"false for {family.ModelType}");
            }
        }

        if (json.Text("hidden_act") != "silu")
        {
            throw json.Bad("hidden_act", "\"silu\"");
        }
    }
}
