using Tessera.Testing;

namespace Tessera.Models.Tests;

public sealed class ModelPackageTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_ValidPackage_GivesVocabularyOfManifestAndTokenizer()
    {
        var package = new PackageBuilder().Load(_folder.FullPath);

        Assert.Equal(
            new ExtendedVocabulary(
                TinyTokenizer.VocabularySize,
                PadId: 0,
                EosId: 1,
                TinyTokenizer.ThinkId,
                TinyTokenizer.ThinkId + 1,
                TinyTokenizer.ThinkId + 2,
                TinyTokenizer.ThinkId + 3,
                TinyTokenizer.FirstLatentId,
                TinyTokenizer.LatentCount),
            package.Vocabulary);
        Assert.Equal("tiny", package.Manifest.Name);
        Assert.Equal(_folder.FullPath, package.Directory);
    }
}
