namespace Tessera.Server.Tests.Support;

/// <summary>The repository that these tests were built from.</summary>
internal static class RepositoryFolder
{
    /// <summary>Folder of Inference.sln.</summary>
    public static string Path { get; } = Find();

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(System.IO.Path.Combine(folder.FullName, "Inference.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException($"no Inference.sln above {AppContext.BaseDirectory}");
    }
}
