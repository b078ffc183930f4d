namespace Tessera.LoadTests.Arrivals;

/// <summary>How the request rate climbs to its final value.</summary>
public enum RampShape
{
    /// <summary>By the same amount from request to request.</summary>
    Linear,

    /// <summary>By the same factor from request to request.</summary>
    Exponential,
}

/// <summary>A rate that climbs over the run.</summary>
/// <param name="FromRate">Requests per second at the start.</param>
/// <param name="Shape">How it climbs.</param>
public sealed record Ramp(double FromRate, RampShape Shape);

/// <summary>When requests are sent.</summary>
/// <param name="Concurrency">Closed loop: requests at once, each worker sends when its last request ended. Open loop: most requests at once; what arrives beyond
/// that waits, and its latency counts from its arrival.</param>
/// <param name="Rate">Open loop: mean arrivals per second. Null: closed loop.</param>
/// <param name="Burstiness">Shape of the gamma distribution of the gaps, as vLLM's bench defines it: 1 = Poisson arrivals, below 1 burstier, above 1 more even.</param>
/// <param name="Ramp">Open loop: the rate climbs from here to <paramref name="Rate"/>; null for a constant rate.</param>
public sealed record ArrivalSettings(int Concurrency, double? Rate = null, double Burstiness = 1, Ramp? Ramp = null)
{
    /// <summary>Whether arrivals follow a schedule, whatever the server does.</summary>
    public bool IsOpen => Rate is not null;
}
