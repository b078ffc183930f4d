using System.Globalization;

namespace Tessera.Engine.Execution.Devices;

/// <summary>What the runtime is told for a GPU, by the keys of its own.</summary>
internal static class CudaSettings
{
    /// <summary>Run option that names a captured sequence of kernels.</summary>
    public const string GraphIdKey = "gpu_graph_id";

    /// <summary>Session options beside the usual ones: a node that the GPU cannot run is an error at the start, not a slow server.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> SessionEntries { get; } = [new("session.disable_cpu_ep_fallback", "1")];

    /// <summary>Options of the CUDA provider.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> ProviderEntries(EngineOptions options)
    {
        List<KeyValuePair<string, string>> entries =
        [
            new("device_id", options.DeviceId.ToString(CultureInfo.InvariantCulture)),

            // The pools of keys and values are large and come once: doubling would take memory that is never used.
            new("arena_extend_strategy", "kSameAsRequested"),
            new("enable_cuda_graph", options.CudaGraphs ? "1" : "0"),

            // Only single precision products would use it, and those are few and meant to be exact.
            new("use_tf32", "0"),

            // Flash (1) and memory-efficient (2) attention, without cuDNN's (8), which the runtime would prefer on new GPUs: there are open reports of wrong text.
            new("sdpa_kernel", "3"),
        ];
        if (options.DeviceMemoryMiB > 0)
            entries.Add(new("gpu_mem_limit", (options.DeviceMemoryMiB * 1024L * 1024).ToString(CultureInfo.InvariantCulture)));
        return entries;
    }
}
