using System.Globalization;
using Tessera.Engine.Runtime;

namespace Tessera.Engine.Execution.Devices;

/// <summary>Run options by graph id; made once each. <see cref="Terminate"/> may be called from any thread.</summary>
internal sealed class GraphRunOptions : IDisposable
{
    private readonly Dictionary<int, OrtRunOptions> _options = [];
    private readonly Lock _lock = new();
    private bool _isTerminated;

    /// <summary>Options of runs with a graph id.</summary>
    public OrtRunOptions For(int graphId)
    {
        lock (_lock)
        {
            if (_options.TryGetValue(graphId, out var options))
                return options;
            options = new OrtRunOptions();
            _options.Add(graphId, options);
            options.AddConfigEntry(CudaSettings.GraphIdKey, graphId.ToString(CultureInfo.InvariantCulture));
            if (_isTerminated)
                options.Terminate();
            return options;
        }
    }

    /// <summary>Ends the run in progress, and every later one.</summary>
    public void Terminate()
    {
        lock (_lock)
        {
            _isTerminated = true;
            foreach (var options in _options.Values)
                options.Terminate();
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var options in _options.Values)
                options.Dispose();
        }
    }
}
