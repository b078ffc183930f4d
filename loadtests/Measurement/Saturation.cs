namespace Tessera.LoadTests.Measurement;

/// <summary>Whether a server kept up with an open loop.</summary>
/// <param name="IsOverSaturated">Whether the backlog grew: the figures then tell how long the run was, not how fast the server is.</param>
/// <param name="ArrivalsPerSecond">Arrivals per second in the second half of the arrivals.</param>
/// <param name="CompletionsPerSecond">Requests that ended per second in the same time.</param>
/// <param name="InFlightAtHalf">Requests that had arrived and not ended half-way through the arrivals.</param>
/// <param name="InFlightAtEnd">The same at the last arrival.</param>
public sealed record Saturation(bool IsOverSaturated, double ArrivalsPerSecond, double CompletionsPerSecond, int InFlightAtHalf, int InFlightAtEnd)
{
    // Fewer arrivals say nothing about a rate.
    private const int FewestArrivals = 20;

    // Completions lag a little behind arrivals by chance; a backlog of a handful comes and goes.
    private const double LeastShare = 0.9;
    private const int LeastBacklog = 4;

    /// <summary>
    /// Looks at the second half of the arrivals: over-saturated when less than 90 % of what arrived also ended, and the backlog (requests that arrived and did not
    /// end, whether sent or waiting for a free connection) grew by at least 4 and by half of what it was. Null with fewer than 20 arrivals.
    /// </summary>
    public static Saturation? Detect(IReadOnlyList<TimedRequest> requests)
    {
        ArgumentNullException.ThrowIfNull(requests);
        if (requests.Count < FewestArrivals)
        {
            return null;
        }

        var from = requests.Min(request => request.Intended);
        var to = requests.Max(request => request.Intended);
        var half = (from + to) / 2;
        var seconds = to - half;
        if (seconds <= 0)
        {
            return null;
        }

        int Backlog(double at) => requests.Count(request => request.Intended <= at && request.Ended > at);
        var arrived = requests.Count(request => request.Intended > half);
        var ended = requests.Count(request => request.Ended > half && request.Ended <= to);
        var (before, after) = (Backlog(half), Backlog(to));
        var isOver = ended < LeastShare * arrived && after - before >= LeastBacklog && after >= 1.5 * before;
        return new Saturation(isOver, arrived / seconds, ended / seconds, before, after);
    }
}
