using Tessera.Models;

namespace Tessera.Server.Hosting;

/// <summary>Finds the folder of the model package.</summary>
internal static class PackageLocator
{
    /// <summary>Folder beside the binaries that holds the shipped packages.</summary>
    public const string ShippedFolder = "packages";

    /// <summary>The folder that the option names, or the one shipped package.</summary>
    /// <param name="package">Value of Model:Package; may be empty.</param>
    /// <param name="baseDirectory">Folder of the binaries.</param>
    /// <exception cref="StartException">There is no such folder, or more than one shipped package.</exception>
    public static string Find(string package, string baseDirectory)
    {
        if (package.Length > 0)
        {
            var full = Path.GetFullPath(package);
            return Directory.Exists(full)
                ? full
                : throw new StartException($"Model:Package: expected a folder with a model package, found nothing at '{full}'");
        }

        var shipped = Path.Combine(baseDirectory, ShippedFolder);
        var found = Directory.Exists(shipped)
            ? Directory.GetDirectories(shipped).Where(d => File.Exists(Path.Combine(d, ModelPackage.ManifestFileName))).Order(StringComparer.Ordinal).ToArray()
            : [];
        return found.Length switch
        {
            1 => found[0],
            0 => throw new StartException($"Model:Package: expected a folder with a model package, found no value and no package shipped in '{shipped}'"),
            _ => throw new StartException($"Model:Package: expected one of the shipped packages ({Names(found)}), found no value"),
        };
    }

    private static string Names(string[] folders) => string.Join(", ", folders.Select(Path.GetFileName));
}

/// <summary>The server cannot start; the message is one line for the person who starts it.</summary>
internal sealed class StartException(string message, Exception? innerException = null) : Exception(message, innerException);
