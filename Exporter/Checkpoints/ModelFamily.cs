namespace Tessera.Exporter.Checkpoints;

/// <summary>When a linear layer has a bias.</summary>
internal enum BiasRule
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>Always.</summary>
    Always,

    /// <summary>When the family's flag in config.json says so.</summary>
    AsConfigured,
}

/// <summary>Which layers look back over a window only.</summary>
internal enum WindowRule
{
    /// <summary>None.</summary>
    None,

    /// <summary>All, when <c>sliding_window</c> is a number; 4096 when the key is missing, as the family's own code has it.</summary>
    EveryLayer,

    /// <summary>Those from <c>max_window_layers</c> on, when <c>use_sliding_window</c> says so.</summary>
    UpperLayers,
}

/// <summary>
/// What sets one family of decoders apart from plain Llama. A family whose differences can be said with these fields is added by adding an entry to
/// <see cref="All"/>; docs/how-to/add-a-model-family.md has the steps.
/// </summary>
internal sealed record ModelFamily
{
    /// <summary>Every family that can be exported.</summary>
    public static readonly IReadOnlyList<ModelFamily> All =
    [
        new()
        {
            ModelType = "llama",
            Models = "Llama 2, 3, 3.1, 3.2, SmolLM2",
            AttentionBias = BiasRule.AsConfigured,
            OutputBias = BiasRule.AsConfigured,
            MlpBias = BiasRule.AsConfigured,
        },
        new() { ModelType = "mistral", Models = "Mistral 7B", Window = WindowRule.EveryLayer },
        new() { ModelType = "qwen2", Models = "Qwen2, Qwen2.5", AttentionBias = BiasRule.Always, Window = WindowRule.UpperLayers },
        new()
        {
            ModelType = "qwen3",
            Models = "Qwen3",
            AttentionBias = BiasRule.AsConfigured,
            OutputBias = BiasRule.AsConfigured,
            QueryKeyNorm = true,
            Window = WindowRule.UpperLayers,
            DefaultHeadDim = 128,
        },
        new() { ModelType = "tessera_llama", Models = "Llama with n-gram embeddings, from Training/", MaxNgrams = 16 },
    ];

    /// <summary><c>model_type</c> of config.json.</summary>
    public required string ModelType { get; init; }

    /// <summary>Models that people know, for help and documents.</summary>
    public required string Models { get; init; }

    /// <summary>Biases of q, k and v; the flag is <c>attention_bias</c>.</summary>
    public BiasRule AttentionBias { get; init; }

    /// <summary>Bias of the attention's output; the flag is <c>attention_bias</c>.</summary>
    public BiasRule OutputBias { get; init; }

    /// <summary>Biases of the MLP; the flag is <c>mlp_bias</c>.</summary>
    public BiasRule MlpBias { get; init; }

    /// <summary>Whether every head's query and key go through an RMS norm before they are turned.</summary>
    public bool QueryKeyNorm { get; init; }

    /// <summary>Windows.</summary>
    public WindowRule Window { get; init; }

    /// <summary>Elements per head when config.json does not say; 0 = hidden size / heads.</summary>
    public int DefaultHeadDim { get; init; }

    /// <summary>Most n-gram embeddings (<c>ngram_embeddings</c>).</summary>
    public int MaxNgrams { get; init; }

    /// <summary>The family that a config.json names.</summary>
    /// <exception cref="ExportException">No such family.</exception>
    public static ModelFamily Read(JsonFile json)
    {
        var name = json.Text("model_type");
        return All.FirstOrDefault(family => family.ModelType == name)
            ?? throw json.Bad("model_type", $"one of {string.Join(", ", All.Select(family => family.ModelType))}");
    }

    /// <summary>Window of each layer in positions, the query's own included; 0 = none.</summary>
    public IReadOnlyList<int> ReadWindows(JsonFile json, int layerCount)
    {
        if (Window == WindowRule.None)
        {
            return new int[layerCount];
        }

        var wanted = Window == WindowRule.EveryLayer
            ? Enumerable.Repeat(json.Has("sliding_window") || json.IsAbsent("sliding_window"), layerCount)
            : UpperLayers(json, layerCount);
        if (json.Has("layer_types"))
        {
            var types = json.Texts("layer_types");
            if (types.Count != layerCount || types.Any(type => type is not ("full_attention" or "sliding_attention")))
            {
                throw json.Bad("layer_types", $"{layerCount} of full_attention, sliding_attention");
            }

            wanted = types.Select(type => type == "sliding_attention");
        }

        var layers = wanted.ToList();
        return layers.Contains(true) ? [.. layers.Select(has => has ? json.Int("sliding_window", 1, int.MaxValue, otherwise: 4096) : 0)] : new int[layerCount];
    }

    private static IEnumerable<bool> UpperLayers(JsonFile json, int layerCount)
    {
        var used = json.Flag("use_sliding_window", otherwise: false);
        var first = json.Int("max_window_layers", 0, int.MaxValue, otherwise: 28);
        return Enumerable.Range(0, layerCount).Select(layer => used && layer >= first);
    }
}
