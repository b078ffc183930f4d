using System.Globalization;
using System.Text;

namespace Tessera.Server.Telemetry.Prometheus;

/// <summary>Writes metric families in Prometheus' text format, version 0.0.4.</summary>
internal sealed class PrometheusText
{
    /// <summary>Media type of the format.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new();

    /// <summary>Writes a family: its help, its type and all its series.</summary>
    /// <param name="family">What is shown.</param>
    /// <param name="record">Where the values come from.</param>
    public void Write(MetricFamily family, InstrumentRecord record)
    {
        _text.Append("# HELP ").Append(family.Name).Append(' ').Append(EscapeHelp(family.Help)).Append('\n');
        _text.Append("# TYPE ").Append(family.Name).Append(' ').Append(TypeOf(record.Kind)).Append('\n');
        foreach (var (labels, sum, buckets) in Gather(family, record))
        {
            if (record.Kind == SeriesKind.Histogram)
            {
                WriteHistogram(family.Name, labels, sum, buckets, record.Boundaries);
            }
            else
            {
                WriteSample(family.Name, labels, sum);
            }
        }
    }

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();

    /// <summary>Series as they are shown: tags turned into labels, and series that share their labels added up.</summary>
    private static IEnumerable<(string Labels, double Sum, long[] Buckets)> Gather(MetricFamily family, InstrumentRecord record)
    {
        var gathered = new SortedDictionary<string, (double Sum, long[] Buckets)>(StringComparer.Ordinal);
        foreach (var start in family.StartingLabels)
        {
            gathered[Render(start)] = (0, new long[record.Kind == SeriesKind.Histogram ? record.Boundaries.Count + 1 : 0]);
        }

        foreach (var point in record.Read())
        {
            if (family.LabelsOf(point.Tags) is not { } labels)
            {
                continue;
            }

            var key = Render(labels);
            var (sum, buckets) = gathered.TryGetValue(key, out var before) ? before : (0, new long[point.Buckets.Count]);
            gathered[key] = (sum + point.Sum, [.. buckets.Zip(point.Buckets, (one, other) => one + other)]);
        }

        return gathered.Select(entry => (entry.Key, entry.Value.Sum, entry.Value.Buckets));
    }

    private void WriteHistogram(string name, string labels, double sum, long[] buckets, IReadOnlyList<double> boundaries)
    {
        var prefix = labels.Length == 0 ? "" : labels + ",";
        var count = 0L;
        for (var i = 0; i < buckets.Length; i++)
        {
            count += buckets[i];
            var bound = i < boundaries.Count ? Number(boundaries[i]) : "+Inf";
            WriteSample($"{name}_bucket", $"{prefix}le=\"{bound}\"", count);
        }

        WriteSample($"{name}_sum", labels, sum);
        WriteSample($"{name}_count", labels, count);
    }

    private void WriteSample(string name, string labels, double value)
    {
        _text.Append(name);
        if (labels.Length > 0)
        {
            _text.Append('{').Append(labels).Append('}');
        }

        _text.Append(' ').Append(Number(value)).Append('\n');
    }

    private static string Render(IEnumerable<KeyValuePair<string, string>> labels) =>
        string.Join(',', labels.Select(label => $"{label.Key}=\"{EscapeLabel(label.Value)}\""));

    private static string TypeOf(SeriesKind kind) => kind switch
    {
        SeriesKind.Counter => "counter",
        SeriesKind.Histogram => "histogram",
        _ => "gauge",
    };

    private static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : double.IsNegativeInfinity(value) ? "-Inf" : value.ToString("R", CultureInfo.InvariantCulture);

    private static string EscapeLabel(string text) => EscapeHelp(text).Replace("\"", "\\\"", StringComparison.Ordinal);

    private static string EscapeHelp(string text) => text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
