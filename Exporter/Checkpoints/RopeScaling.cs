namespace Tessera.Exporter.Checkpoints;

/// <summary>How the frequencies of the rotary embedding are stretched for long sequences.</summary>
internal enum RopeKind
{
    /// <summary>Not at all.</summary>
    Default,

    /// <summary>All divided by the factor.</summary>
    Linear,

    /// <summary>Llama 3.1: low frequencies divided, high ones kept, a blend between.</summary>
    Llama3,

    /// <summary>YaRN (arXiv 2309.00071): a blend over the dimensions, and longer queries and keys.</summary>
    Yarn,
}

/// <summary>The checked content of <c>rope_scaling</c> (or <c>rope_parameters</c>): gives the frequencies of the rotary embedding.</summary>
internal sealed record RopeScaling
{
    private static readonly Dictionary<string, RopeKind> Kinds = new(StringComparer.Ordinal)
    {
        ["default"] = RopeKind.Default,
        ["linear"] = RopeKind.Linear,
        ["llama3"] = RopeKind.Llama3,
        ["yarn"] = RopeKind.Yarn,
    };

    /// <summary>The kind.</summary>
    public RopeKind Kind { get; init; }

    /// <summary>Base of the frequencies.</summary>
    public required double Theta { get; init; }

    /// <summary>How much longer sequences may be.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Llama 3.1: turns within the original length up to which a frequency is divided.</summary>
    public double LowFrequencyFactor { get; init; }

    /// <summary>Llama 3.1: turns within the original length from which on a frequency is kept.</summary>
    public double HighFrequencyFactor { get; init; }

    /// <summary>Positions before the stretching.</summary>
    public double OriginalPositions { get; init; }

    /// <summary>YaRN: turns within the original length from which on a frequency is kept.</summary>
    public double BetaFast { get; init; }

    /// <summary>YaRN: turns within the original length up to which a frequency is divided.</summary>
    public double BetaSlow { get; init; }

    /// <summary>YaRN: whether the ends of the ramp are whole dimensions.</summary>
    public bool Truncates { get; init; }

    /// <summary>Multiplies cosines and sines.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>Positions that the model can take with this scaling.</summary>
    public int ReachOf(int maxPositions) =>
        Kind is RopeKind.Linear or RopeKind.Yarn ? (int)Math.Min(1 << 22, Math.Max(maxPositions, Factor * OriginalPositions)) : maxPositions;

    /// <summary>The scaling in words, for the manifest.</summary>
    public string Describe() => Kind == RopeKind.Default ? "" : FormattableString.Invariant($"{Kind.ToString().ToLowerInvariant()} x{Factor:0.###}");

    /// <summary>Reads the scaling that a config.json asks for.</summary>
    /// <param name="json">The file.</param>
    /// <param name="maxPositions">Its <c>max_position_embeddings</c>.</param>
    /// <exception cref="ExportException">The kind is not one that is done, or a number is missing or wrong.</exception>
    public static RopeScaling Read(JsonFile json, int maxPositions)
    {
        var scaling = json.OptionalObject(json.Has("rope_parameters") ? "rope_parameters" : "rope_scaling");
        var field = scaling.Has("rope_type") || !scaling.Has("type") ? "rope_type" : "type";
        var name = scaling.Text(field, otherwise: "default");
        if (!Kinds.TryGetValue(name, out var kind))
        {
            // Frequencies of "dynamic" and "longrope" depend on the length of the sequence: no table can hold them.
            throw scaling.Bad(field, string.Join(", ", Kinds.Keys.Order(StringComparer.Ordinal)));
        }

        var theta = scaling.Positive("rope_theta", json.Positive("rope_theta", otherwise: 10_000));
        if (json.Positive("partial_rotary_factor", scaling.Positive("partial_rotary_factor", otherwise: 1)) != 1)
        {
            throw json.Bad("partial_rotary_factor", "1: whole heads are turned");
        }

        return kind switch
        {
            RopeKind.Linear => new() { Kind = kind, Theta = theta, Factor = scaling.Positive("factor"), OriginalPositions = maxPositions },
            RopeKind.Llama3 => ReadLlama3(scaling, theta),
            RopeKind.Yarn => ReadYarn(scaling, theta, maxPositions),
            _ => new() { Theta = theta },
        };
    }

    /// <summary>Frequencies in single precision, as training has them: [headDim / 2].</summary>
    public float[] Frequencies(int headDim)
    {
        var frequencies = new double[headDim / 2];
        for (var i = 0; i < frequencies.Length; i++)
        {
            frequencies[i] = Math.Pow(Theta, -2.0 * i / headDim);
        }

        switch (Kind)
        {
            case RopeKind.Linear:
                Blend(frequencies, static (_, _) => 0);
                break;
            case RopeKind.Llama3:
                // Turns of a frequency within the original length decide.
                Blend(frequencies, (_, frequency) =>
                    ((OriginalPositions * frequency / Math.Tau) - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor));
                break;
            case RopeKind.Yarn:
                var (first, last) = YarnRamp(headDim);
                Blend(frequencies, (i, _) => 1 - ((i - first) / (last - first)));
                break;
        }

        return Array.ConvertAll(frequencies, frequency => (float)frequency);
    }

    /// <summary>Leaves each frequency in part as it is and divides the rest by the factor.</summary>
    private void Blend(double[] frequencies, Func<int, double, double> kept)
    {
        for (var i = 0; i < frequencies.Length; i++)
        {
            var part = Math.Clamp(kept(i, frequencies[i]), 0, 1);
            frequencies[i] = (part * frequencies[i]) + ((1 - part) * frequencies[i] / Factor);
        }
    }

    private (double First, double Last) YarnRamp(int headDim)
    {
        var (first, last) = (Dimension(BetaFast), Dimension(BetaSlow));
        if (Truncates)
        {
            (first, last) = (Math.Floor(first), Math.Ceiling(last));
        }

        (first, last) = (Math.Max(first, 0), Math.Min(last, headDim - 1));
        return (first, first == last ? last + 0.001 : last);

        // The dimension whose frequency turns that often within the original length.
        double Dimension(double turns) => headDim * Math.Log(OriginalPositions / (turns * Math.Tau)) / (2 * Math.Log(Theta));
    }

    private static RopeScaling ReadLlama3(JsonFile json, double theta)
    {
        var low = json.Positive("low_freq_factor");
        var high = json.Positive("high_freq_factor");
        return high > low
            ? new()
            {
                Kind = RopeKind.Llama3,
                Theta = theta,
                Factor = json.Positive("factor"),
                LowFrequencyFactor = low,
                HighFrequencyFactor = high,
                OriginalPositions = json.Positive("original_max_position_embeddings"),
            }
            : throw json.Bad("high_freq_factor", FormattableString.Invariant($"more than low_freq_factor ({low})"));
    }

    private static RopeScaling ReadYarn(JsonFile json, double theta, int maxPositions)
    {
        var factor = json.Positive("factor");
        // DeepSeek's files give two numbers whose ratio is the factor on cosines and sines.
        var scale = json.Has("mscale") && json.Has("mscale_all_dim")
            ? Longer(factor, json.Positive("mscale")) / Longer(factor, json.Positive("mscale_all_dim"))
            : Longer(factor, 1);
        return new()
        {
            Kind = RopeKind.Yarn,
            Theta = theta,
            Factor = factor,
            OriginalPositions = json.Positive("original_max_position_embeddings", otherwise: maxPositions),
            BetaFast = json.Positive("beta_fast", otherwise: 32),
            BetaSlow = json.Positive("beta_slow", otherwise: 1),
            Truncates = json.Flag("truncate", otherwise: true),
            AttentionFactor = json.Positive("attention_factor", otherwise: scale),
        };

        static double Longer(double factor, double scale) => factor <= 1 ? 1 : (0.1 * scale * Math.Log(factor)) + 1;
    }
}
