namespace Tessera.LoadTests.Measurement;

/// <summary>Whether two modes that answered the same prompts differ in accuracy.</summary>
public static class McNemar
{
    /// <summary>
    /// Exact two-sided p: the chance, were both modes equally good, of a split of the discordant pairs at least as uneven as this one
    /// (binomial with one half; 1 when no pair is discordant).
    /// </summary>
    /// <param name="onlyFirst">Prompts that only the first mode answered right.</param>
    /// <param name="onlySecond">Prompts that only the second mode answered right.</param>
    public static double ExactP(int onlyFirst, int onlySecond)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(onlyFirst);
        ArgumentOutOfRangeException.ThrowIfNegative(onlySecond);
        var n = onlyFirst + onlySecond;
        var fewer = Math.Min(onlyFirst, onlySecond);

        // Sum of C(n, k) / 2^n for k <= fewer, in logarithms: 2^n overflows from n = 1024 on.
        var logTerm = -n * Math.Log(2);
        var tail = Math.Exp(logTerm);
        for (var k = 1; k <= fewer; k++)
        {
            logTerm += Math.Log(n - k + 1) - Math.Log(k);
            tail += Math.Exp(logTerm);
        }

        return Math.Min(1, 2 * tail);
    }
}
