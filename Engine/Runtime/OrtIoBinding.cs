namespace Tessera.Engine.Runtime;

/// <summary>Inputs and outputs bound to memory, reused from run to run. Holds the bound tensors itself; their memory stays the caller's.</summary>
public sealed unsafe class OrtIoBinding : OrtHandle
{
    /// <summary>An empty binding for a session.</summary>
    public OrtIoBinding(OrtSession session)
        : base(Create(session), OrtFunction.ReleaseIoBinding)
    {
    }

    /// <summary>Binds an input; binding a name again replaces it.</summary>
    /// <exception cref="OrtException">The graph has no such input.</exception>
    public void BindInput(string name, OrtValue value) => Bind(OrtFunction.BindInput, name, value);

    /// <summary>Binds an output; binding a name again replaces it. The run fails when the shape is not what the graph gives.</summary>
    /// <exception cref="OrtException">The graph has no such output.</exception>
    public void BindOutput(string name, OrtValue value) => Bind(OrtFunction.BindOutput, name, value);

    private static nint Create(OrtSession session)
    {
        using var lease = new OrtLease(session);
        return OrtApi.Get(OrtFunction.CreateIoBinding, lease.Pointer);
    }

    private void Bind(OrtFunction function, string name, OrtValue value)
    {
        using var binding = new OrtLease(this);
        using var bound = new OrtLease(value);
        fixed (byte* nativeName = NativeText.Utf8(name))
            OrtApi.Call(function, binding.Pointer, nativeName, bound.Pointer);
    }
}
