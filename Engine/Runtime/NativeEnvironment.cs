using System.Runtime.InteropServices;

namespace Tessera.Engine.Runtime;

/// <summary>
/// The environment as native code sees it. On Unix <see cref="Environment.SetEnvironmentVariable(string, string?)"/> changes only a managed copy, so a
/// native library that calls <c>getenv</c> would not see it.
/// </summary>
internal static partial class NativeEnvironment
{
    /// <summary>Sets a variable for managed and native code of this process.</summary>
    public static void Set(string name, string value)
    {
        Environment.SetEnvironmentVariable(name, value);
        if (!OperatingSystem.IsWindows() && SetUnix(name, value, overwrite: 1) != 0)
            throw new OrtLibraryException($"setenv {name} failed with errno {Marshal.GetLastPInvokeError()}");
    }

    /// <summary>Value that native code reads; null when it is not set.</summary>
    public static string? Get(string name) =>
        OperatingSystem.IsWindows() ? Environment.GetEnvironmentVariable(name) : Marshal.PtrToStringUTF8(GetUnix(name));

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetUnix(string name, string value, int overwrite);

    // The returned string belongs to the environment and is not freed.
    [LibraryImport("libc", EntryPoint = "getenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint GetUnix(string name);
}
