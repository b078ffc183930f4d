using Tessera.Bench.Timing;

namespace Tessera.Bench.Peers;

/// <summary>One thing that is measured on every side.</summary>
/// <param name="Key">What <c>--measures</c> calls it.</param>
/// <param name="Name">What the table calls it.</param>
/// <param name="Prepare">Command before the clock; null for none.</param>
/// <param name="Command">The timed command.</param>
/// <param name="Tokens">Tokens of one timed command.</param>
internal sealed record Measure(string Key, string Name, string? Prepare, string Command, int Tokens)
{
    private const int Context = 128;

    /// <summary>The rows of the table of targets.</summary>
    public static IReadOnlyList<Measure> All { get; } =
    [
        new("prefill", "prefill 512", null, "prefill 512", 512),
        Decode(batch: 1, steps: 24),
        Decode(batch: 4, steps: 16),
        Decode(batch: 8, steps: 16),
    ];

    private static Measure Decode(int batch, int steps) =>
        new($"decode-{batch}", $"decode, batch {batch}, context {Context}", $"begin {batch} {Context}", $"decode {steps}", batch * steps);
}

/// <summary>Tokens per second of one side in every round.</summary>
internal sealed record Series(string Side, Measure Measure, IReadOnlyList<double> TokensPerSecond)
{
    /// <summary>The middle one.</summary>
    public double Median { get; } = Summary.Of(TokensPerSecond).MedianValue;
}

/// <summary>Measures all sides in interleaved rounds, so that what the machine does meanwhile hits each of them.</summary>
internal static class PeerComparison
{
    /// <summary>Runs the rounds; one round before them, not counted, warms each side up.</summary>
    public static IReadOnlyList<Series> Run(IReadOnlyList<Side> sides, IReadOnlyList<Measure> measures, int rounds, Action<string> progress)
    {
        var values = new Dictionary<(string, Measure), List<double>>();
        for (var round = 0; round <= rounds; round++)
        {
            progress(round == 0 ? "warm-up" : $"round {round} of {rounds}");
            foreach (var measure in measures)
            {
                foreach (var side in sides)
                {
                    var speed = Time(side, measure);
                    if (round > 0)
                    {
                        if (!values.TryGetValue((side.Name, measure), out var list))
                        {
                            values[(side.Name, measure)] = list = [];
                        }

                        list.Add(speed);
                    }
                }
            }
        }

        return [.. values.Select(entry => new Series(entry.Key.Item1, entry.Key.Item2, entry.Value))];
    }

    private static double Time(Side side, Measure measure)
    {
        if (measure.Prepare is { } prepare)
        {
            side.Ask(prepare);
        }

        return measure.Tokens / side.Ask(measure.Command);
    }
}
