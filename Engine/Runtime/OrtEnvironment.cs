namespace Tessera.Engine.Runtime;

/// <summary>The runtime's process-wide environment and what is made once with it.</summary>
internal sealed unsafe class OrtEnvironment : OrtHandle
{
    // Fatal only: every error comes as an OrtException, and what the runtime writes to stderr by itself may hold token ids.
    internal const int LogFatal = 4;

    private static readonly Lazy<OrtEnvironment> Singleton = new(Create);
    private static readonly Lazy<OrtMemoryInfo> Cpu = new(OrtMemoryInfo.CreateCpu);

    private OrtEnvironment(nint handle)
        : base(handle, OrtFunction.ReleaseEnv)
    {
    }

    /// <summary>The environment; it lives as long as the process.</summary>
    public static OrtEnvironment Instance => Singleton.Value;

    /// <summary>Main memory, for tensors over memory of our own.</summary>
    public static OrtMemoryInfo CpuMemory => Cpu.Value;

    /// <summary>The runtime's default allocator; it belongs to the runtime and is never released.</summary>
    public static nint DefaultAllocator => OrtApi.Get(OrtFunction.GetAllocatorWithDefaultOptions);

    private static OrtEnvironment Create()
    {
        OrtEnvironment environment;
        fixed (byte* name = NativeText.Utf8("tessera"))
            environment = new OrtEnvironment(OrtApi.Get(OrtFunction.CreateEnv, LogFatal, name));
        using var lease = new OrtLease(environment);
        OrtApi.Call(OrtFunction.DisableTelemetryEvents, lease.Pointer);
        return environment;
    }
}

/// <summary>Where a tensor's memory is.</summary>
internal sealed unsafe class OrtMemoryInfo : OrtHandle
{
    private const int DeviceAllocator = 0;
    private const int DefaultMemory = 0;

    private OrtMemoryInfo(nint handle)
        : base(handle, OrtFunction.ReleaseMemoryInfo)
    {
    }

    /// <summary>Main memory.</summary>
    public static OrtMemoryInfo CreateCpu() => new(OrtApi.Get(OrtFunction.CreateCpuMemoryInfo, DeviceAllocator, DefaultMemory));
    /// <summary>Memory of a device by the runtime's name for it, <c>Cuda</c> or <c>Cpu</c>.</summary>
    public static OrtMemoryInfo Create(string name, int deviceId)
    {
        fixed (byte* nativeName = NativeText.Utf8(name))
            return new(OrtApi.Get(OrtFunction.CreateMemoryInfo, nativeName, DeviceAllocator, deviceId, DefaultMemory));
    }
}
