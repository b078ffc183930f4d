namespace Tessera.LoadTests.Tests.Support;

/// <summary>Files of the repository.</summary>
public static class Repository
{
    /// <summary>Full path of a file in it.</summary>
    public static string Find(params string[] path)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Inference.sln")))
            {
                return Path.Combine([folder.FullName, .. path]);
            }
        }

        throw new InvalidOperationException($"no Inference.sln above {AppContext.BaseDirectory}");
    }
}
