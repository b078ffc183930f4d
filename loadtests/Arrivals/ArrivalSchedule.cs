namespace Tessera.LoadTests.Arrivals;

/// <summary>Arrival times of an open loop, drawn before the run: same seed, same times, whatever the server does.</summary>
public static class ArrivalSchedule
{
    /// <summary>
    /// Times of arrival from the start, ascending. Gaps are gamma distributed with mean 1 / rate and shape <see cref="ArrivalSettings.Burstiness"/>; at a constant
    /// rate they are scaled so that the last request arrives after exactly count / rate, as vLLM's bench does: the offered rate is then the asked one in every sample.
    /// </summary>
    /// <param name="count">How many arrivals.</param>
    /// <param name="settings">An open loop.</param>
    /// <param name="seed">Same seed, same times.</param>
    public static TimeSpan[] Compute(int count, ArrivalSettings settings, int seed)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var rate = settings.Rate ?? throw new ArgumentException("a closed loop has no schedule", nameof(settings));
        var random = new Random(seed);
        var seconds = new double[count];
        var now = 0.0;
        for (var i = 0; i < count; i++)
        {
            now += Gamma(random, settings.Burstiness) / (RateAt(i, count, rate, settings.Ramp) * settings.Burstiness);
            seconds[i] = now;
        }

        var scale = settings.Ramp is null && now > 0 ? count / rate / now : 1;
        return Array.ConvertAll(seconds, second => TimeSpan.FromSeconds(second * scale));
    }

    private static double RateAt(int index, int count, double rate, Ramp? ramp)
    {
        if (ramp is null)
        {
            return rate;
        }

        var progress = (double)index / Math.Max(1, count - 1);
        return ramp.Shape == RampShape.Linear
            ? ramp.FromRate + ((rate - ramp.FromRate) * progress)
            : ramp.FromRate * Math.Pow(rate / ramp.FromRate, progress);
    }

    // Marsaglia and Tsang (2000); a shape below 1 is drawn at shape + 1 and scaled by U^(1/shape).
    private static double Gamma(Random random, double shape)
    {
        if (shape < 1)
        {
            return Gamma(random, shape + 1) * Math.Pow(1 - random.NextDouble(), 1 / shape);
        }

        var d = shape - (1.0 / 3);
        var c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            var normal = Normal(random);
            var v = Math.Pow(1 + (c * normal), 3);
            if (v > 0 && Math.Log(1 - random.NextDouble()) < (0.5 * normal * normal) + d - (d * v) + (d * Math.Log(v)))
            {
                return d * v;
            }
        }
    }

    // Box and Muller; 1 - U keeps the logarithm finite.
    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
