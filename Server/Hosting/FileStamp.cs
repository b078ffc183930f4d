namespace Tessera.Server.Hosting;

/// <summary>What tells that a file has changed; the default value where it cannot be looked at.</summary>
/// <param name="Changed">When it was written last.</param>
/// <param name="Length">Its bytes.</param>
internal readonly record struct FileStamp(DateTime Changed, long Length)
{
    /// <summary>The stamp of a file. A file that is mounted into a container is a link whose target is swapped: the target's.</summary>
    public static FileStamp Of(string path)
    {
        try
        {
            var file = new FileInfo(path);
            file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
            return new(file.LastWriteTimeUtc, file.Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }
}
