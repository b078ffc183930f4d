using System.Security.Cryptography;

namespace Tessera.Models.Packaging;

/// <summary>Compares the files of a package folder with the manifest's list.</summary>
internal static class PackageFiles
{
    private const int HashBufferBytes = 1 << 16;

    /// <summary>Checks that every listed file is a plain file of the folder with the listed size and hash.</summary>
    /// <exception cref="ModelPackageException">Names the file.</exception>
    public static void Check(string directory, IReadOnlyList<PackageFile> files)
    {
        foreach (var file in files)
            CheckPlace(directory, file.Path);
        // All sizes before any hash: a truncated package is found without reading gigabytes.
        foreach (var file in files)
            CheckSize(directory, file);
        foreach (var file in files)
            CheckHash(directory, file);
    }

    /// <summary>Checks that <paramref name="path"/> is a plain file with one name, reached without a link.</summary>
    public static void CheckPlace(string directory, string path)
    {
        var place = directory;
        var parts = path.Split('/');
        for (var i = 0; i < parts.Length; i++)
        {
            place = Path.Combine(place, parts[i]);
            var isLast = i == parts.Length - 1;
            FileSystemInfo entry = isLast ? new FileInfo(place) : new DirectoryInfo(place);
            if (entry.LinkTarget is not null)
                throw new ModelPackageException(path, "file", "a file inside the package", "a symbolic link");
            if (!entry.Exists)
                throw new ModelPackageException(path, "file", "a file", Directory.Exists(place) ? "a folder" : "no such file");
        }

        var names = LinkCount.Of(place);
        if (names != 1)
            throw new ModelPackageException(path, "file", "a plain file with one name", names == 0 ? "no plain file" : $"{names} hard links");
    }

    private static void CheckSize(string directory, PackageFile file)
    {
        var bytes = PackageFileReader.Guard(file.Path, () => new FileInfo(Path.Combine(directory, file.Path)).Length);
        if (bytes != file.Bytes)
            throw new ModelPackageException(file.Path, "bytes", $"{file.Bytes}", $"{bytes}");
    }

    private static void CheckHash(string directory, PackageFile file)
    {
        var hash = PackageFileReader.Guard(file.Path, () =>
        {
            using var stream = PackageFileReader.Open(Path.Combine(directory, file.Path));
            using var buffered = new BufferedStream(stream, HashBufferBytes);
            return Convert.ToHexStringLower(SHA256.HashData(buffered));
        });
        if (hash != file.Sha256)
            throw new ModelPackageException(file.Path, "sha256", file.Sha256, hash);
    }
}
