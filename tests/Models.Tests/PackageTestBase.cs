using Tessera.Testing;

namespace Tessera.Models.Tests;

/// <summary>A package builder and a folder per test.</summary>
public abstract class PackageTestBase : IDisposable
{
    private readonly TemporaryFolder _root = new();

    protected PackageBuilder Builder { get; } = new();

    /// <summary>Where packages are written; beside it is room for what a package must not reach.</summary>
    protected string PackageFolder => _root["package"];

    protected string Outside(string name) => _root[name];

    public void Dispose()
    {
        _root.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Writes the package, lets <paramref name="damage"/> at it, and gives the refusal.</summary>
    protected ModelPackageException Refusal(Action<string>? damage = null)
    {
        Builder.Write(PackageFolder);
        damage?.Invoke(PackageFolder);
        return Assert.Throws<ModelPackageException>(() => ModelPackage.Load(PackageFolder));
    }

    /// <summary>Checks that the package is refused for <paramref name="field"/> of <paramref name="file"/>.</summary>
    protected void AssertRefused(string file, string field, Action<string>? damage = null)
    {
        var refusal = Refusal(damage);
        Assert.Equal((file, field), (refusal.File, refusal.Field));
    }
}
