using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>A native object of the runtime; whoever creates it disposes it.</summary>
public abstract class OrtHandle : SafeHandle
{
    private readonly OrtFunction _release;

    private protected OrtHandle(nint handle, OrtFunction release)
        : base(0, ownsHandle: true)
    {
        _release = release;
        SetHandle(handle);
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        OrtApi.Release(_release, handle);
        return true;
    }
}

/// <summary>Keeps a native object alive during a call, also when another thread disposes it meanwhile.</summary>
internal ref struct OrtLease
{
    private readonly OrtHandle _owner;
    private bool _held;

    /// <summary>Takes the object.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public OrtLease(OrtHandle owner)
    {
        _owner = owner;
        owner.DangerousAddRef(ref _held);
        Pointer = owner.DangerousGetHandle();
    }

    /// <summary>Address of the native object.</summary>
    public nint Pointer { get; }

    /// <summary>Gives the object back.</summary>
    public void Dispose()
    {
        if (_held)
            _owner.DangerousRelease();
        _held = false;
    }
}
