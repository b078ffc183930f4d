using System.Globalization;

namespace Tessera.Engine.Runtime;

/// <summary>How a graph is loaded and run.</summary>
public sealed unsafe class OrtSessionOptions : OrtHandle
{
    private const int AllOptimizations = 99;

    /// <summary>Options for a serving session.</summary>
    /// <param name="threads">Threads of one run, the calling thread included; 0 = the machine's cores.</param>
    /// <param name="spinMicroseconds">How long a thread that waits for the next part of a run spins before it sleeps; 0 = not at all.</param>
    public OrtSessionOptions(int threads, int spinMicroseconds = 0)
        : base(OrtApi.Get(OrtFunction.CreateSessionOptions), OrtFunction.ReleaseSessionOptions)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        ArgumentOutOfRangeException.ThrowIfNegative(spinMicroseconds);
        Set(OrtFunction.SetSessionLogSeverityLevel, OrtEnvironment.LogFatal);
        Set(OrtFunction.SetSessionGraphOptimizationLevel, AllOptimizations);
        Set(OrtFunction.SetIntraOpNumThreads, threads == 0 ? Environment.ProcessorCount : threads);
        Set(OrtFunction.SetInterOpNumThreads, 1);

        // Its cache of memory plans is keyed by input shapes and never shrinks; our shapes change with every step.
        using (var lease = new OrtLease(this))
            OrtApi.Call(OrtFunction.DisableMemPattern, lease.Pointer);

        // Without VNNI the kernels for signed weights of 8 bits saturate sums of 16 bits; with this constant weights become unsigned there, whose
        // kernels are exact. Nothing changes on other processors.
        AddConfigEntry("session.x64quantprecision", "1");

        AddConfigEntry("session.intra_op.allow_spinning", spinMicroseconds > 0 ? "1" : "0");
        if (spinMicroseconds > 0)
        {
            AddConfigEntry("session.intra_op.spin_duration_us", spinMicroseconds.ToString(CultureInfo.InvariantCulture));

            // Between runs nobody spins: the cores belong to HTTP.
            AddConfigEntry("session.force_spinning_stop", "1");
        }
    }

    /// <summary>Sets one configuration entry by the runtime's key.</summary>
    public void AddConfigEntry(string key, string value)
    {
        using var lease = new OrtLease(this);
        fixed (byte* nativeKey = NativeText.Utf8(key), nativeValue = NativeText.Utf8(value))
            OrtApi.Call(OrtFunction.AddSessionConfigEntry, lease.Pointer, nativeKey, nativeValue);
    }

    /// <summary>Makes operators of our own known; they go before the runtime's of the same name.</summary>
    internal void AddOperators(OrtCustomDomain domain)
    {
        using var lease = new OrtLease(this);
        using var operators = new OrtLease(domain);
        OrtApi.Call(OrtFunction.AddCustomOpDomain, lease.Pointer, operators.Pointer);
    }

    private void Set(OrtFunction function, int value)
    {
        using var lease = new OrtLease(this);
        OrtApi.Call(function, lease.Pointer, value);
    }
}

/// <summary>Control of a run: lets another thread end it.</summary>
public sealed unsafe class OrtRunOptions : OrtHandle
{
    /// <summary>Options of runs that go to their end.</summary>
    public OrtRunOptions()
        : base(OrtApi.Get(OrtFunction.CreateRunOptions), OrtFunction.ReleaseRunOptions)
    {
    }

    /// <summary>Ends the current run at its next node, and every later one, with an <see cref="OrtException"/>; from any thread.</summary>
    public void Terminate() => Set(OrtFunction.RunOptionsSetTerminate);

    /// <summary>Lets later runs go to their end again.</summary>
    public void Resume() => Set(OrtFunction.RunOptionsUnsetTerminate);

    /// <summary>Sets one configuration entry by the runtime's key.</summary>
    public void AddConfigEntry(string key, string value)
    {
        using var lease = new OrtLease(this);
        fixed (byte* nativeKey = NativeText.Utf8(key), nativeValue = NativeText.Utf8(value))
            OrtApi.Call(OrtFunction.AddRunConfigEntry, lease.Pointer, nativeKey, nativeValue);
    }

    private void Set(OrtFunction function)
    {
        using var lease = new OrtLease(this);
        OrtApi.Call(function, lease.Pointer);
    }
}
