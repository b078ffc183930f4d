using System.Reflection;
using Tessera.Models;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>Where things lie in the repository that these tests were built from.</summary>
internal static class Repository
{
    /// <summary>Folder of Inference.sln.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The server as it was built with these tests.</summary>
    public static string ServerAssembly { get; } = Path.Combine(
        Root, typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(entry => entry.Key == "ServerAssembly").Value!);

    /// <summary>Script around the official JavaScript client.</summary>
    public static string NodeClient { get; } = Path.Combine(Root, "tests", "EndToEnd.Tests", "clients", "generate.mjs");

    /// <summary>The model package that the project ships.</summary>
    public static string ShippedPackage { get; } = Path.GetDirectoryName(
        Directory.GetFiles(Path.Combine(Root, "Models", "packages"), ModelPackage.ManifestFileName, SearchOption.AllDirectories).Single())!;

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Inference.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException($"no Inference.sln above {AppContext.BaseDirectory}");
    }
}
