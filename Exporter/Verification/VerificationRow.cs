namespace Tessera.Exporter.Verification;

/// <summary>One comparison of an exported graph with the recorded reference.</summary>
/// <param name="Graph">File of the graph.</param>
/// <param name="Check">How it was run.</param>
/// <param name="RowCount">Rows of logits (or codes) compared.</param>
/// <param name="MaxDifference">Largest absolute difference; infinite when a value is not a number.</param>
/// <param name="Limit">Largest difference that passes.</param>
internal sealed record VerificationRow(string Graph, string Check, int RowCount, double MaxDifference, double Limit)
{
    /// <summary>Whether something was compared and all of it is within the limit.</summary>
    public bool Passed => RowCount > 0 && MaxDifference <= Limit;
}

/// <summary>Collects the differences of one comparison.</summary>
internal sealed class DifferenceMeter
{
    private double _max;

    /// <summary>Rows so far.</summary>
    public int RowCount { get; private set; }

    /// <summary>Compares one row; lengths must agree.</summary>
    public void Add(ReadOnlySpan<float> expected, ReadOnlySpan<float> found)
    {
        if (expected.Length != found.Length)
        {
            throw new ArgumentException($"{found.Length} values cannot be compared with {expected.Length}.", nameof(found));
        }

        RowCount++;
        for (var i = 0; i < expected.Length; i++)
        {
            var difference = Math.Abs((double)expected[i] - found[i]);
            _max = Math.Max(_max, double.IsNaN(difference) ? double.PositiveInfinity : difference);
        }
    }

    /// <summary>Compares one code.</summary>
    public void Add(long expected, long found)
    {
        RowCount++;
        _max = Math.Max(_max, expected == found ? 0 : 1);
    }

    /// <summary>The comparison as a row of the report.</summary>
    public VerificationRow ToRow(string graph, string check, double limit) => new(graph, check, RowCount, _max, limit);
}
