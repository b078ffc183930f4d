using System.Diagnostics.Metrics;

namespace Tessera.Server.Telemetry.Prometheus;

/// <summary>Adds up what the instruments of some meters record, so that it can be shown at any time. Thread-safe.</summary>
internal sealed class MetricStore : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly Lock _lock = new();
    private readonly Dictionary<string, InstrumentRecord> _instruments = [];

    /// <summary>Starts to listen.</summary>
    /// <param name="meters">These meters and no others of the same name.</param>
    public MetricStore(params IReadOnlyList<Meter> meters)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (meters.Contains(instrument.Meter))
            {
                listener.EnableMeasurementEvents(instrument, Add(instrument));
            }
        };
        _listener.SetMeasurementEventCallback<long>((_, value, tags, record) => ((InstrumentRecord)record!).Record(value, tags));
        _listener.SetMeasurementEventCallback<int>((_, value, tags, record) => ((InstrumentRecord)record!).Record(value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, record) => ((InstrumentRecord)record!).Record(value, tags));
        _listener.Start();
    }

    /// <summary>Reads the observable instruments and gives everything that was recorded, by name of the instrument.</summary>
    public IReadOnlyDictionary<string, InstrumentRecord> Collect()
    {
        // One collection at a time: two would clear each other's observations.
        lock (_lock)
        {
            foreach (var record in _instruments.Values)
            {
                record.ClearObservations();
            }

            _listener.RecordObservableInstruments();
            return _instruments.ToDictionary();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private InstrumentRecord Add(Instrument instrument)
    {
        lock (_lock)
        {
            var record = new InstrumentRecord(instrument);
            _instruments.Add(instrument.Name, record);
            return record;
        }
    }
}
