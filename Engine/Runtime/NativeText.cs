using System.Text;

namespace Tessera.Engine.Runtime;

/// <summary>Strings as the C API takes them.</summary>
internal static class NativeText
{
    /// <summary>UTF-8 with a terminating zero.</summary>
    public static byte[] Utf8(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }

    /// <summary>A path: UTF-16 on Windows, UTF-8 elsewhere, with a terminating zero.</summary>
    public static byte[] Path(string path) => OperatingSystem.IsWindows() ? Encoding.Unicode.GetBytes(path + '\0') : Utf8(path);
}
