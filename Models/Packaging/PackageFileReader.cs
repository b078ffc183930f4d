namespace Tessera.Models.Packaging;

/// <summary>Reads files of a package; what the system says about them becomes a <see cref="ModelPackageException"/>.</summary>
internal static class PackageFileReader
{
    /// <summary>Reads a whole file of bounded size.</summary>
    /// <param name="path">Where it is.</param>
    /// <param name="name">Its name in errors.</param>
    /// <param name="maxBytes">A larger file is refused unread.</param>
    public static byte[] ReadAll(string path, string name, int maxBytes) => Guard(name, () =>
    {
        using var stream = Open(path);
        if (stream.Length > maxBytes)
            throw new ModelPackageException(name, "bytes", $"at most {maxBytes}", $"{stream.Length}");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    });

    /// <summary>Runs <paramref name="read"/>; a file that is missing or cannot be read is an error of the package.</summary>
    public static T Guard<T>(string name, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ModelPackageException(name, "file", "a file", "no such file", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ModelPackageException(name, "file", "a readable file", exception.GetType().Name, exception);
        }
    }

    /// <summary>Opens a file to be read from start to end.</summary>
    public static FileStream Open(string path) =>
        new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
}
