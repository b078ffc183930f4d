using System.Diagnostics;
using System.Diagnostics.Metrics;
using Tessera.Engine;
using Tessera.Server.Api;
using Tessera.Server.Hosting;

namespace Tessera.Server.Telemetry;

/// <summary>Instruments that are read when somebody asks: the engine's state and the process.</summary>
internal static class ServerGauges
{
    /// <summary>Adds them to a meter.</summary>
    public static void Add(Meter meter, InferenceEngine engine, Readiness readiness)
    {
        AddEngine(meter, engine);
        AddKvCache(meter, engine);
        AddGpu(meter, engine);
        AddProcess(meter);
        var manifest = engine.Package.Manifest;
        meter.CreateObservableGauge(InstrumentNames.Ready, () => readiness.Refusal() is null ? 1 : 0, null, "1 while requests are taken.");
        meter.CreateObservableGauge(
            InstrumentNames.BuildInformation,
            () => new Measurement<int>(1, [new("version", ServerCommand.Version), new("model_name", manifest.Name), new("model_version", manifest.Version)]),
            null, "Always 1; the labels tell server and model.");
    }

    private static void AddEngine(Meter meter, InferenceEngine engine)
    {
        meter.CreateObservableGauge(InstrumentNames.RunningRequests, () => engine.GetStatus().RunningCount, "{request}", "Requests with a slot.");
        meter.CreateObservableGauge(InstrumentNames.WaitingRequests, () => engine.GetStatus().WaitingCount, "{request}", "Requests that wait for a slot.");
        meter.CreateObservableGauge(InstrumentNames.WaitingTokens, () => engine.GetStatus().WaitingTokens, "{token}", "Prompt tokens of waiting requests.");
        meter.CreateObservableCounter(
            InstrumentNames.Preemptions, () => engine.GetStatus().PreemptionCount, "{preemption}", "Sequences that lost their positions to an older one.");
        meter.CreateObservableCounter(InstrumentNames.Steps, () => engine.GetStatus().StepCount, "{step}", "Steps of the model.");
        meter.CreateObservableGauge(
            InstrumentNames.SinceProgress, () => engine.GetStatus().SinceLastProgress.TotalSeconds, "s",
            "Time since the step loop last finished a step or was idle.");
    }

    private static void AddKvCache(Meter meter, InferenceEngine engine)
    {
        meter.CreateObservableGauge(InstrumentNames.KvPositionsInUse, () => engine.GetStatus().KvPositionsInUse, "{position}", "KV cache positions in use.");
        meter.CreateObservableGauge(
            InstrumentNames.KvPositionsCapacity, () => engine.GetStatus().KvPositionsCapacity, "{position}", "KV cache positions that may be in use.");
        meter.CreateObservableGauge(InstrumentNames.KvBytesInUse, () => engine.GetStatus().KvBytesInUse, "By", "Bytes of the KV cache positions in use.");
        meter.CreateObservableGauge(
            InstrumentNames.KvBytesResident, () => engine.GetStatus().KvBytesResident, "By", "Bytes of positions in use and of prefixes that are kept for sharing.");
        meter.CreateObservableCounter(
            InstrumentNames.PrefixCacheQueries, () => engine.GetStatus().PrefixCacheQueriedTokens, "{token}", "Prompt tokens for which a cached prefix was looked for.");
        meter.CreateObservableCounter(
            InstrumentNames.PrefixCacheHits, () => engine.GetStatus().PrefixCacheHitTokens, "{token}", "Prompt tokens that were copied instead of computed.");
        meter.CreateObservableGauge(InstrumentNames.KvBytesPeak, () => engine.GetStatus().KvBytesPeak, "By", "Most KV cache bytes in use since the start.");
        meter.CreateObservableGauge(InstrumentNames.KvUsage, () => UsageOf(engine.GetStatus()), "1", "KV cache positions in use over those there are, 0 to 1.");
        meter.CreateObservableGauge(
            InstrumentNames.CacheConfiguration,
            () => new Measurement<int>(
                1, [new("block_size", 1), new("num_gpu_blocks", engine.GetStatus().KvPositionsCapacity), new("bytes_per_block", engine.KvBytesPerPosition)]),
            null, "Always 1; the labels tell the KV cache, whose blocks are single positions.");
    }

    // Only where there is one: a gauge that always says 0 would look like a device that is not used.
    private static void AddGpu(Meter meter, InferenceEngine engine)
    {
        if (engine.GetStatus().DeviceBytes is not null)
        {
            meter.CreateObservableGauge(InstrumentNames.GpuMemory, () => engine.GetStatus().DeviceBytes ?? 0, "By", "Device memory that the engine holds.");
        }
    }

    private static void AddProcess(Meter meter)
    {
        meter.CreateObservableGauge(InstrumentNames.ResidentMemory, () => Environment.WorkingSet, "By", "Resident memory of the process.");
        meter.CreateObservableCounter(InstrumentNames.CpuTime, () => Environment.CpuUsage.TotalTime.TotalSeconds, "s", "CPU time of the process.");
        meter.CreateObservableGauge(InstrumentNames.StartTime, StartTime, "s", "When the process started, in seconds since 1970.");
        if (OperatingSystem.IsLinux())
        {
            meter.CreateObservableGauge(
                InstrumentNames.OpenFiles, () => Directory.GetFileSystemEntries("/proc/self/fd").Length, "{file}", "Open files and sockets of the process.");
        }
    }

    private static double UsageOf(EngineStatus status) => status.KvPositionsCapacity == 0 ? 0 : (double)status.KvPositionsInUse / status.KvPositionsCapacity;

    private static double StartTime()
    {
        using var process = Process.GetCurrentProcess();
        return new DateTimeOffset(process.StartTime).ToUnixTimeMilliseconds() / 1000.0;
    }
}
