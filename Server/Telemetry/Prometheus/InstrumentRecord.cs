using System.Diagnostics.Metrics;

namespace Tessera.Server.Telemetry.Prometheus;

/// <summary>How an instrument's values add up.</summary>
internal enum SeriesKind
{
    /// <summary>A sum that only grows.</summary>
    Counter,

    /// <summary>A value that goes up and down.</summary>
    Gauge,

    /// <summary>Counts per bucket, sum and count.</summary>
    Histogram,
}

/// <summary>One time series: the values of one set of tags.</summary>
/// <param name="Tags">Names and values, in the order of the names.</param>
/// <param name="Sum">Value of a counter or gauge, sum of a histogram.</param>
/// <param name="Buckets">Observations per bucket, the one above the last boundary included; empty when it is no histogram.</param>
internal sealed record SeriesPoint(IReadOnlyList<KeyValuePair<string, string>> Tags, double Sum, IReadOnlyList<long> Buckets);

/// <summary>Adds up what one instrument records. Thread-safe.</summary>
internal sealed class InstrumentRecord
{
    // Tags come from closed lists; should one ever not, its series stop here and the memory with them.
    private const int MaxSeries = 1000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, Series> _series = new(StringComparer.Ordinal);
    private readonly bool _isObservable;

    /// <summary>Creates an empty record. A histogram or sum without tags starts at zero instead of being absent.</summary>
    public InstrumentRecord(Instrument instrument)
    {
        Kind = KindOf(instrument);
        Boundaries = Kind == SeriesKind.Histogram && instrument is Instrument<double> { Advice.HistogramBucketBoundaries: { } boundaries } ? [.. boundaries] : [];
        _isObservable = instrument.IsObservable;
    }

    /// <summary>How values add up.</summary>
    public SeriesKind Kind { get; }

    /// <summary>Upper bounds of a histogram's buckets, ascending.</summary>
    public IReadOnlyList<double> Boundaries { get; }

    /// <summary>All series so far.</summary>
    public IReadOnlyList<SeriesPoint> Read()
    {
        lock (_lock)
        {
            return [.. _series.Values.Select(series => new SeriesPoint(series.Tags, series.Sum, [.. series.Buckets]))];
        }
    }

    /// <summary>Adds a measurement.</summary>
    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_lock)
        {
            if (Find(tags) is not { } series)
            {
                return;
            }

            series.Sum = _isObservable ? value : series.Sum + value;
            if (Kind == SeriesKind.Histogram)
            {
                series.Buckets[BucketOf(value)]++;
            }
        }
    }

    /// <summary>Forgets what an observable instrument said before.</summary>
    public void ClearObservations()
    {
        lock (_lock)
        {
            if (_isObservable)
            {
                _series.Clear();
            }
        }
    }

    private Series? Find(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var key = KeyOf(tags);
        if (!_series.TryGetValue(key, out var series) && _series.Count < MaxSeries)
        {
            var named = new List<KeyValuePair<string, string>>(tags.Length);
            foreach (var (name, value) in tags)
            {
                named.Add(new(name, value?.ToString() ?? ""));
            }

            named.Sort((one, other) => string.CompareOrdinal(one.Key, other.Key));
            series = new Series(named, Kind == SeriesKind.Histogram ? new long[Boundaries.Count + 1] : []);
            _series.Add(key, series);
        }

        return series;
    }

    private static string KeyOf(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var key = "";
        foreach (var (name, value) in tags)
        {
            key += $"{name}\u0001{value}\u0002";
        }

        return key;
    }

    private int BucketOf(double value)
    {
        var bucket = 0;
        while (bucket < Boundaries.Count && value > Boundaries[bucket])
        {
            bucket++;
        }

        return bucket;
    }

    private static SeriesKind KindOf(Instrument instrument)
    {
        var type = instrument.GetType();
        var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        return definition == typeof(Histogram<>) ? SeriesKind.Histogram
            : definition == typeof(Counter<>) || definition == typeof(ObservableCounter<>) ? SeriesKind.Counter
            : SeriesKind.Gauge;
    }

    private sealed class Series(IReadOnlyList<KeyValuePair<string, string>> tags, long[] buckets)
    {
        public IReadOnlyList<KeyValuePair<string, string>> Tags => tags;

        public long[] Buckets => buckets;

        public double Sum { get; set; }
    }
}
