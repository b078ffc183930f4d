namespace Tessera.Exporter.Checkpoints;

/// <summary>Shape of the language model: the checked content of a checkpoint's <c>config.json</c> (Hugging Face names).</summary>
internal sealed record CheckpointConfig
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "config.json";

    private const int MaxSize = 1 << 20;

    // The rotary kernel wants half of a head in groups of eight.
    private const int HeadDimMultiple = 16;

    /// <summary><c>llama</c> or <c>tessera_llama</c>.</summary>
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

    /// <summary>Base of the rotary embedding.</summary>
    public required double RopeTheta { get; init; }

    /// <summary>Whether the head is the embedding table.</summary>
    public required bool TiedHead { get; init; }

    /// <summary>How many previous ids' embeddings are added at the input.</summary>
    public required int NgramEmbeddings { get; init; }

    /// <summary>Reads and checks a config.json.</summary>
    /// <exception cref="ExportException">A field is missing or wrong, or asks for something that the decoder graph does not do.</exception>
    public static CheckpointConfig Read(string path)
    {
        var json = JsonFile.Open(path);
        var family = json.Text("model_type");
        if (family is not ("llama" or "tessera_llama"))
        {
            throw json.Bad("model_type", "\"llama\" or \"tessera_llama\"");
        }

        RefuseWhatIsNotDone(json);
        var hidden = json.Int("hidden_size", 1, MaxSize);
        var heads = json.Int("num_attention_heads", 1, MaxSize);
        var kvHeads = json.Int("num_key_value_heads", 1, heads, otherwise: heads);
        if (heads % kvHeads != 0)
        {
            throw json.Bad("num_key_value_heads", $"a divisor of num_attention_heads ({heads})");
        }

        var headDim = json.Int("head_dim", 1, MaxSize, otherwise: hidden / heads);
        if (headDim % HeadDimMultiple != 0 || headDim == 0)
        {
            throw json.Bad("head_dim", $"a multiple of {HeadDimMultiple} (found or computed: {headDim})");
        }

        return new CheckpointConfig
        {
            Family = family,
            HiddenSize = hidden,
            IntermediateSize = json.Int("intermediate_size", 1, MaxSize),
            LayerCount = json.Int("num_hidden_layers", 1, 1024),
            HeadCount = heads,
            KvHeadCount = kvHeads,
            HeadDim = headDim,
            VocabularySize = json.Int("vocab_size", 1, 1 << 24),
            MaxPositions = json.Int("max_position_embeddings", 1, 1 << 22),
            NormEpsilon = (float)json.Positive("rms_norm_eps"),
            RopeTheta = json.Positive("rope_theta", otherwise: 10_000),
            TiedHead = json.Flag("tie_word_embeddings", otherwise: false),
            NgramEmbeddings = json.Int("ngram_embeddings", 0, family == "llama" ? 0 : 16, otherwise: 0),
        };
    }

    private static void RefuseWhatIsNotDone(JsonFile json)
    {
        foreach (var name in (ReadOnlySpan<string>)["rope_scaling", "rope_parameters", "quantization_config"])
        {
            if (json.Has(name))
            {
                throw json.Bad(name, "null");
            }
        }

        foreach (var name in (ReadOnlySpan<string>)["attention_bias", "mlp_bias"])
        {
            if (json.Flag(name, otherwise: false))
            {
                throw json.Bad(name, "false");
            }
        }

        if (json.Text("hidden_act") != "silu")
        {
            throw json.Bad("hidden_act", "\"silu\"");
        }
    }
}
