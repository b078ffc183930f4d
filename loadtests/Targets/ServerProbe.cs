using System.Text.Json;

namespace Tessera.LoadTests.Targets;

/// <summary>Asks a server over REST who it is and how much memory it holds.</summary>
internal sealed class ServerProbe(RestConnection connection)
{
    // A server without /metrics is not asked for it again and again.
    private bool _hasNoMetrics;
    private bool _hasNoInfo;

    /// <exception cref="LoadTestException">The server does not answer, or has no such model.</exception>
    public async Task<ServerFacts> GetFactsAsync(string? wantedModel, CancellationToken cancellationToken)
    {
        using var models = await connection.GetRequiredJsonAsync("/v1/models", cancellationToken).ConfigureAwait(false);
        var ids = ReadModelIds(models.RootElement);
        var model = wantedModel ?? (ids.Count == 1 ? ids[0] : throw new LoadTestException(
            ids.Count == 0 ? $"{connection.BaseAddress}: /v1/models lists no model" : $"--model: the server has several models: {string.Join(", ", ids)}"));
        if (!ids.Contains(model))
        {
            throw new LoadTestException($"--model: the server has no model \"{model}\"; it has: {string.Join(", ", ids)}");
        }

        using var info = await connection.TryGetJsonAsync("/info", cancellationToken).ConfigureAwait(false);
        var bytes = info is not null && info.RootElement.TryGetObject("engine", out var engine) ? engine.ReadLong("kv_bytes_per_position") : null;
        return new ServerFacts(model, bytes, HasLatents: info?.RootElement.ValueKind == JsonValueKind.Object);
    }

    public async Task<ServerMemory?> ReadMemoryAsync(CancellationToken cancellationToken)
    {
        if (!_hasNoMetrics)
        {
            if (await connection.TryGetTextAsync("/metrics", cancellationToken).ConfigureAwait(false) is { } text && Parse(text) is { } memory)
            {
                return memory;
            }

            _hasNoMetrics = true;
        }

        return _hasNoInfo ? null : await ReadInfoAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task<ServerMemory?> ReadInfoAsync(CancellationToken cancellationToken)
    {
        using var info = await connection.TryGetJsonAsync("/info", cancellationToken).ConfigureAwait(false);
        if (info is not null && info.RootElement.TryGetObject("engine", out var engine) && engine.ReadLong("kv_bytes_in_use") is { } inUse)
        {
            return new ServerMemory(null, inUse, engine.ReadLong("kv_bytes_peak"), null);
        }

        _hasNoInfo = true;
        return null;
    }

    private static ServerMemory? Parse(string metrics)
    {
        long? Of(string name) => PrometheusText.Read(metrics, name) is { } value and >= 0 and < long.MaxValue ? (long)value : null;
        var memory = new ServerMemory(
            Of("process_resident_memory_bytes"), Of("tessera_kv_cache_bytes_in_use"), Of("tessera_kv_cache_bytes_peak"), Of("tessera_gpu_memory_bytes"));
        return memory is { ResidentBytes: null, KvBytesInUse: null, KvBytesPeak: null, GpuBytes: null } ? null : memory;
    }

    private static List<string> ReadModelIds(JsonElement models)
    {
        var ids = new List<string>();
        if (models.ValueKind == JsonValueKind.Object && models.TryGetProperty("data", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            ids.AddRange(list.EnumerateArray().Select(model => model.ReadString("id")).OfType<string>());
        }

        return ids;
    }
}
