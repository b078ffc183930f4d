namespace Tessera.Bench.Timing;

/// <summary>Sizes of a Llama decoder with random weights.</summary>
internal sealed record ModelShape(string Name, int Hidden, int Layers, int Heads, int KvHeads, int HeadDim, int FeedForward, int Vocabulary)
{
    /// <summary>The shape of Llama 3.2 1B: config.json of meta-llama/Llama-3.2-1B.</summary>
    public static readonly ModelShape Llama1B = new("llama-1b", 2048, 16, 32, 8, 64, 8192, 128_256);
}
