using System.Globalization;

namespace Tessera.Engine.Runtime;

/// <summary>A session's allocator for one kind of memory; what it gives counts against that session's limit. Disposed before the session.</summary>
internal sealed unsafe class OrtAllocator : OrtHandle
{
    private const string TotalAllocated = "TotalAllocated";

    /// <summary>The allocator that a session uses for a kind of memory.</summary>
    /// <exception cref="OrtException">The session has none for it.</exception>
    public OrtAllocator(OrtSession session, OrtMemoryInfo memory)
        : base(Create(session, memory), OrtFunction.ReleaseAllocator)
    {
    }

    /// <summary>Bytes that the allocator has taken from the system, for whatever; 0 when it does not count.</summary>
    public long TotalBytes
    {
        get
        {
            using var lease = new OrtLease(this);
            var pairs = OrtApi.Get(OrtFunction.AllocatorGetStats, lease.Pointer);
            try
            {
                fixed (byte* key = NativeText.Utf8(TotalAllocated))
                    return long.TryParse(OrtApi.GetKeyValue(pairs, key), NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) ? bytes : 0;
            }
            finally
            {
                OrtApi.Release(OrtFunction.ReleaseKeyValuePairs, pairs);
            }
        }
    }

    /// <summary>Allocates memory.</summary>
    /// <exception cref="OrtException">There is not so much.</exception>
    public nint Allocate(nuint byteCount)
    {
        using var lease = new OrtLease(this);
        return OrtApi.Get(OrtFunction.AllocatorAlloc, lease.Pointer, byteCount);
    }

    /// <summary>Frees memory that <see cref="Allocate"/> gave.</summary>
    public void Free(nint address)
    {
        using var lease = new OrtLease(this);
        OrtApi.Call(OrtFunction.AllocatorFree, lease.Pointer, address);
    }

    private static nint Create(OrtSession session, OrtMemoryInfo memory)
    {
        using var owner = new OrtLease(session);
        using var kind = new OrtLease(memory);
        return OrtApi.Get(OrtFunction.CreateAllocator, owner.Pointer, kind.Pointer);
    }
}
