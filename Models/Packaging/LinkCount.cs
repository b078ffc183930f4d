using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace Tessera.Models.Packaging;

/// <summary>What .NET does not tell about a file: how many names it has, and whether it is a regular file.</summary>
internal static class LinkCount
{
    private const int CurrentDirectory = -100; // AT_FDCWD
    private const int NoFollow = 0x100; // AT_SYMLINK_NOFOLLOW
    private const uint BasicFields = 0x7FF; // STATX_BASIC_STATS
    private const int ResultBytes = 256;
    private const int LinksOffset = 16;
    private const int ModeOffset = 28;
    private const int TypeMask = 0xF000; // S_IFMT
    private const int RegularFile = 0x8000; // S_IFREG

    /// <summary>
    /// Names of the regular file at <paramref name="path"/>; 0 when it is no regular file; 1 where the system gives no answer (only Linux is asked:
    /// its statx has one layout on every architecture).
    /// </summary>
    public static int Of(string path)
    {
        if (!OperatingSystem.IsLinux())
            return 1;
        var result = new byte[ResultBytes];
        try
        {
            if (statx(CurrentDirectory, Encoding.UTF8.GetBytes(path + '\0'), NoFollow, BasicFields, result) != 0)
                return 1;
        }
        catch (EntryPointNotFoundException)
        {
            return 1;
        }

        var mode = BinaryPrimitives.ReadUInt16LittleEndian(result.AsSpan(ModeOffset));
        return (mode & TypeMask) == RegularFile ? (int)Math.Min(int.MaxValue, BinaryPrimitives.ReadUInt32LittleEndian(result.AsSpan(LinksOffset))) : 0;
    }

    [DllImport("libc", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int statx(int directory, byte[] path, int flags, uint mask, byte[] result);
}
