using Tessera.Models;

namespace Tessera.Exporter.Verification;

/// <summary>How far results may be from the recorded ones.</summary>
/// <param name="Limit">Largest difference that passes.</param>
/// <param name="IsRelative">
/// Whether the root mean square of the differences is compared, in parts of the deviation of the recorded values; otherwise the largest absolute difference.
/// </param>
internal readonly record struct Tolerance(double Limit, bool IsRelative = false)
{
    /// <summary>What decoders of a precision may differ by. In single precision every logit counts; where numbers are rounded, the logits as a whole do.</summary>
    public static Tolerance Of(Precision precision)
    {
        if (precision is { Weights: "fp32", Kv: "f32" })
        {
            return new Tolerance(1e-3);
        }

        var weights = precision.Weights switch
        {
            "int4" => 0.35,
            "int8" or "w8a8" => 0.06,
            "bf16" => 0.03,
            _ => 0.01,
        };
        return new Tolerance(weights + (precision.Kv == "int8" ? 0.06 : 0), IsRelative: true);
    }
}

/// <summary>One comparison of an exported graph with the recorded reference.</summary>
/// <param name="Graph">File of the graph.</param>
/// <param name="Check">How it was run.</param>
/// <param name="RowCount">Rows of logits (or codes) compared.</param>
/// <param name="Difference">The difference, as the tolerance measures it; infinite when a value is not a number.</param>
/// <param name="Tolerance">What passes.</param>
internal sealed record VerificationRow(string Graph, string Check, int RowCount, double Difference, Tolerance Tolerance)
{
    /// <summary>Whether something was compared and all of it is within the limit.</summary>
    public bool Passed => RowCount > 0 && Difference <= Tolerance.Limit;
}

/// <summary>Collects the differences of one comparison.</summary>
internal sealed class DifferenceMeter
{
    private double _max;
    private double _squares;
    private double _sum;
    private double _sumOfSquares;
    private long _count;

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
        _count += expected.Length;
        for (var i = 0; i < expected.Length; i++)
        {
            var difference = Math.Abs((double)expected[i] - found[i]);
            _max = Math.Max(_max, double.IsNaN(difference) ? double.PositiveInfinity : difference);
            _squares += difference * difference;
            _sum += expected[i];
            _sumOfSquares += (double)expected[i] * expected[i];
        }
    }

    /// <summary>Compares one code, or one token.</summary>
    public void Add(long expected, long found)
    {
        RowCount++;
        _max = Math.Max(_max, expected == found ? 0 : 1);
    }

    /// <summary>The comparison as a row of the report.</summary>
    public VerificationRow ToRow(string graph, string check, Tolerance tolerance) =>
        new(graph, check, RowCount, tolerance.IsRelative ? RelativeError : _max, tolerance);

    private double RelativeError
    {
        get
        {
            if (double.IsInfinity(_max) || _count == 0)
            {
                return double.PositiveInfinity;
            }

            var mean = _sum / _count;
            var variance = Math.Max((_sumOfSquares / _count) - (mean * mean), double.Epsilon);
            return Math.Sqrt(_squares / _count / variance);
        }
    }
}
