using Tessera.Models;

namespace Tessera.Exporter.Packaging;

/// <summary>
/// A folder that is either complete or absent: it is written as a sibling and takes its name in one move.
/// Disposing without <see cref="Commit"/> leaves nothing.
/// </summary>
internal sealed class OutputFolder : IDisposable
{
    private readonly string _target;

    private OutputFolder(string target)
    {
        _target = target;
        WorkPath = SiblingOf(target, "new");
        Directory.CreateDirectory(WorkPath);
    }

    /// <summary>Where to write until <see cref="Commit"/>.</summary>
    public string WorkPath { get; }

    /// <summary>Starts a folder.</summary>
    /// <param name="path">The name that it will have.</param>
    /// <param name="force">Whether a package that already has that name is replaced.</param>
    /// <exception cref="ExportException">The name is taken.</exception>
    public static OutputFolder Create(string path, bool force)
    {
        var target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (File.Exists(target))
        {
            throw new ExportException(path, "--out", "a folder or nothing", "a file");
        }

        if (Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any())
        {
            if (!force)
            {
                throw new ExportException(path, "--out", "an empty or missing folder (--force replaces a package)", "a folder with files");
            }

            // Replacing deletes, so only what the exporter could have written is ever replaced.
            if (!File.Exists(Path.Combine(target, ModelPackage.ManifestFileName)))
            {
                throw new ExportException(path, "--out", $"a package to replace (with {ModelPackage.ManifestFileName})", "a folder of other files");
            }
        }

        if (Path.GetDirectoryName(target) is not { } parent)
        {
            throw new ExportException(path, "--out", "a folder that can be made", "the root of the file system");
        }

        Directory.CreateDirectory(parent);
        return new OutputFolder(target);
    }

    /// <summary>Writes the files.</summary>
    /// <param name="write">Gets <see cref="WorkPath"/>.</param>
    /// <exception cref="ExportException">A file became larger than the file system or the process may write.</exception>
    public T Fill<T>(Func<string, T> write)
    {
        try
        {
            return write(WorkPath);
        }
        catch (ArgumentOutOfRangeException exception) when (exception.TargetSite?.DeclaringType == typeof(RandomAccess))
        {
            // That is how the runtime says EFBIG, and it does not say of which file.
            throw new ExportException(NewestFile(), "size", "room to write the file", "the largest size that the file system or ulimit -f allows", exception);
        }
    }

    /// <summary>Gives the folder its name, in place of what had it before.</summary>
    public void Commit()
    {
        if (!Directory.Exists(_target))
        {
            Directory.Move(WorkPath, _target);
            return;
        }

        var replaced = SiblingOf(_target, "old");
        Directory.Move(_target, replaced);
        try
        {
            Directory.Move(WorkPath, _target);
        }
        catch
        {
            Directory.Move(replaced, _target);
            throw;
        }

        Directory.Delete(replaced, recursive: true);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (Directory.Exists(WorkPath))
        {
            Directory.Delete(WorkPath, recursive: true);
        }
    }

    private string NewestFile() =>
        new DirectoryInfo(WorkPath).EnumerateFiles().MaxBy(file => file.LastWriteTimeUtc) is { } file ? Path.Combine(_target, file.Name) : _target;

    private static string SiblingOf(string target, string role) =>
        Path.Combine(Path.GetDirectoryName(target)!, $".{Path.GetFileName(target)}.{role}-{Environment.ProcessId}");
}
