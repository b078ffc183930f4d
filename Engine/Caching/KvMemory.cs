using System.Runtime.InteropServices;

namespace Tessera.Engine.Caching;

/// <summary>
/// Zeroed memory whose address space is reserved at once and whose pages are taken from the system when they are first written, and can be given back.
/// That is so on Linux; elsewhere the memory is allocated as a whole and giving back does nothing.
/// </summary>
internal sealed unsafe partial class KvMemory : SafeHandle, IKvPool
{
    private const int ReadWrite = 0x1 | 0x2;
    private const int PrivateAnonymousNoReserve = 0x02 | 0x20 | 0x4000;
    private const int DontNeed = 4;
    private const int NoHugePage = 15;
    private const int PopulateWrite = 23;
    private const nint MapFailed = -1;

    private KvMemory(nint address, nuint byteCount)
        : base(0, ownsHandle: true)
    {
        ByteCount = byteCount;
        SetHandle(address);
    }

    /// <summary>Bytes reserved.</summary>
    public nuint ByteCount { get; }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>Address of the first byte, on a page boundary.</summary>
    public nint Address => IsClosed ? throw new ObjectDisposedException(nameof(KvMemory)) : handle;

    /// <summary>Reserves memory.</summary>
    /// <exception cref="InsufficientMemoryException">The address space cannot be had; names the size.</exception>
    public static KvMemory Reserve(nuint byteCount)
    {
        ArgumentOutOfRangeException.ThrowIfZero(byteCount);
        if (!OperatingSystem.IsLinux())
        {
            var block = NativeMemory.AlignedAlloc(byteCount, (nuint)Environment.SystemPageSize);
            NativeMemory.Clear(block, byteCount);
            return new KvMemory((nint)block, byteCount);
        }

        var address = Map(0, byteCount, ReadWrite, PrivateAnonymousNoReserve, -1, 0);
        if (address == MapFailed)
            throw new InsufficientMemoryException($"the KV cache needs {byteCount:N0} bytes of address space per pool: mmap failed with errno {Marshal.GetLastPInvokeError()}");

        // A huge page would take the memory of thousands of positions for the first one. Kernels without huge pages refuse this, which is as good.
        _ = Advise(address, byteCount, NoHugePage);
        return new KvMemory(address, byteCount);
    }

    /// <inheritdoc/>
    public void CopyRows(nuint from, nuint to, nuint rowBytes, nuint pitch, int rowCount)
    {
        var source = (byte*)Address + from;
        var target = (byte*)Address + to;
        for (var row = 0; row < rowCount; row++)
            Buffer.MemoryCopy(source + ((nuint)row * pitch), target + ((nuint)row * pitch), rowBytes, rowBytes);
    }

    /// <inheritdoc/>
    public void TakeRows(nuint offset, nuint rowBytes, nuint pitch, int rowCount)
    {
        var last = offset + ((nuint)(rowCount - 1) * pitch) + rowBytes;
        if (last > ByteCount)
            throw new ArgumentOutOfRangeException(nameof(offset), $"rows up to byte {last} are outside of {ByteCount} bytes");
        if (!OperatingSystem.IsLinux())
            return;

        var page = (nuint)Environment.SystemPageSize;
        for (var row = 0; row < rowCount; row++)
        {
            var start = offset + ((nuint)row * pitch);
            var first = start / page * page;
            var length = ((start + rowBytes + page - 1) / page * page) - first;

            // Linux before 5.14 refuses; pages are then taken when they are written, as ever.
            if (Advise(Address + (nint)first, length, PopulateWrite) != 0)
                return;

            // Under a hypervisor that keeps its own page tables the first access is what takes long.
            for (nuint i = 0; i < length; i += page)
                _ = Volatile.Read(ref *((byte*)Address + first + i));
        }
    }

    /// <summary>Gives the whole pages inside a range back to the system; they read as zero afterwards. Bytes on pages shared with a neighbour stay.</summary>
    public void GiveBack(nuint offset, nuint byteCount)
    {
        if (offset > ByteCount || byteCount > ByteCount - offset)
            throw new ArgumentOutOfRangeException(nameof(offset), $"range {offset}+{byteCount} is outside of {ByteCount} bytes");
        if (!OperatingSystem.IsLinux())
            return;

        var page = (nuint)Environment.SystemPageSize;
        var first = (offset + page - 1) / page * page;
        var last = (offset + byteCount) / page * page;
        if (last > first && Advise(Address + (nint)first, last - first, DontNeed) != 0)
            throw new InvalidOperationException($"madvise of {last - first} bytes failed with errno {Marshal.GetLastPInvokeError()}");
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle()
    {
        if (OperatingSystem.IsLinux())
            return Unmap(handle, ByteCount) == 0;
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Advise(nint address, nuint length, int advice);
}
