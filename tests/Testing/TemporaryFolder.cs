namespace Tessera.Testing;

/// <summary>A new folder that goes away with everything in it.</summary>
public sealed class TemporaryFolder : IDisposable
{
    /// <summary>Creates the folder.</summary>
    public TemporaryFolder() => FullPath = Directory.CreateTempSubdirectory("tessera-").FullName;

    /// <summary>Full path of the folder.</summary>
    public string FullPath { get; }

    /// <summary>Full path of something in the folder.</summary>
    public string this[string relativePath] => Path.Combine(FullPath, relativePath);

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(FullPath, recursive: true);
}
