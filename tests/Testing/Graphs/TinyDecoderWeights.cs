using Tessera.Models;

namespace Tessera.Testing.Graphs;

/// <summary>Random weights of a tiny Llama-style decoder; the same seed gives the same weights.</summary>
public sealed class TinyDecoderWeights
{
    /// <summary>Epsilon of the norms.</summary>
    public const float Epsilon = 1e-6f;

    /// <summary>Makes weights.</summary>
    public TinyDecoderWeights(Architecture architecture, int seed)
    {
        Architecture = architecture;
        var random = new Random(seed);
        var (hidden, width, kv) = (architecture.HiddenSize, architecture.HeadCount * architecture.HeadDim, architecture.KvHeadCount * architecture.HeadDim);
        Intermediate = 2 * hidden;
        Embeddings = Matrix(random, architecture.VocabularySize, hidden, 1f);
        NgramEmbeddings = [.. Enumerable.Range(0, architecture.NgramEmbeddings).Select(_ => Matrix(random, architecture.VocabularySize, hidden, 0.5f))];
        Layers =
        [
            .. Enumerable.Range(0, architecture.LayerCount).Select(_ => new TinyLayer(
                Norm(random, hidden), Matrix(random, hidden, width), Matrix(random, hidden, kv), Matrix(random, hidden, kv), Matrix(random, width, hidden),
                Norm(random, hidden), Matrix(random, hidden, Intermediate), Matrix(random, hidden, Intermediate), Matrix(random, Intermediate, hidden)))
        ];
        FinalNorm = Norm(random, hidden);
        Head = Matrix(random, hidden, architecture.VocabularySize);
    }

    /// <summary>Shape.</summary>
    public Architecture Architecture { get; }

    /// <summary>Elements inside the feed-forward part.</summary>
    public int Intermediate { get; }

    /// <summary>[id, hidden].</summary>
    public float[] Embeddings { get; }

    /// <summary>Per distance (1 first): [id, hidden].</summary>
    public IReadOnlyList<float[]> NgramEmbeddings { get; }

    /// <summary>Layers in order.</summary>
    public IReadOnlyList<TinyLayer> Layers { get; }

    /// <summary>[hidden].</summary>
    public float[] FinalNorm { get; }

    /// <summary>[hidden, vocabulary].</summary>
    public float[] Head { get; }

    /// <summary>An architecture that is as small as the attention operator takes.</summary>
    public static Architecture Small(int ngramEmbeddings = 0, int maxPositions = 64, int vocabularySize = 96) => new()
    {
        Family = ngramEmbeddings > 0 ? "tessera_llama" : "llama",
        LayerCount = 2,
        HeadCount = 4,
        KvHeadCount = 2,
        HeadDim = 16,
        HiddenSize = 32,
        VocabularySize = vocabularySize,
        MaxPositions = maxPositions,
        RopeTheta = 10_000,
        NgramEmbeddings = ngramEmbeddings,
    };

    // Rows are scaled so that activations keep about their size from layer to layer.
    private static float[] Matrix(Random random, int rows, int columns, float? scale = null)
    {
        var factor = scale ?? (float)Math.Sqrt(3.0 / rows);
        return [.. Enumerable.Range(0, rows * columns).Select(_ => ((float)random.NextDouble() * 2 - 1) * factor)];
    }

    private static float[] Norm(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => 0.5f + (float)random.NextDouble())];
}

/// <summary>Weights of one layer; matrices are [in, out].</summary>
public sealed record TinyLayer(
    float[] AttentionNorm, float[] Query, float[] Key, float[] Value, float[] Output, float[] FeedForwardNorm, float[] Gate, float[] Up, float[] Down);
