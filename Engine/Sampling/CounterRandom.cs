namespace Tessera.Engine.Sampling;

/// <summary>
/// Random numbers as a function of (seed, counter), without state: what a sequence draws for its n-th token does not depend on what runs beside it.
/// </summary>
/// <remarks>The output function of SplitMix64 (Steele, Lea, Flood 2014), applied to the seed and then to the counter.</remarks>
internal static class CounterRandom
{
    private const ulong GoldenRatio = 0x9E3779B97F4A7C15;
    private const double UnitPerStep = 1.0 / (1UL << 53);

    /// <summary>A number in [0, 1) with 53 random bits.</summary>
    public static double NextUnit(ulong seed, ulong counter) => (Bits(seed, counter) >> 11) * UnitPerStep;

    /// <summary>64 random bits.</summary>
    public static ulong Bits(ulong seed, ulong counter)
    {
        unchecked
        {
            return Mix(Mix(seed + GoldenRatio) + ((counter + 1) * GoldenRatio));
        }
    }

    private static ulong Mix(ulong value)
    {
        unchecked
        {
            value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
            value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
            return value ^ (value >> 31);
        }
    }
}
