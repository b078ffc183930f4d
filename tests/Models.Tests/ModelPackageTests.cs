using Tessera.Testing;

namespace Tessera.Models.Tests;

public sealed class ModelPackageTests : PackageTestBase
{
    [Fact]
    public void Load_ValidPackage_GivesVocabularyOfManifestAndTokenizer()
    {
        var package = Builder.Load(PackageFolder);

        var think = TinyTokenizer.ThinkId;
        Assert.Equal(
            new ExtendedVocabulary(TinyTokenizer.VocabularySize, 0, 1, think, think + 1, think + 2, think + 3, think + 4, 4), package.Vocabulary);
        Assert.Equal("tiny", package.Manifest.Name);
        Assert.Equal(PackageFolder, package.Directory);
    }

    [Fact]
    public void Load_PackageWithoutCodebook_IsAccepted()
    {
        Builder.Manifest = Builder.Manifest with { Codebook = null };

        Assert.Null(Builder.Load(PackageFolder).Manifest.Codebook);
    }

    [Fact]
    public void Load_VocabularyWiderThanTokenizer_IsAccepted()
    {
        var architecture = Builder.Manifest.Architecture;
        Builder.Manifest = Builder.Manifest with { Architecture = architecture with { VocabularySize = architecture.VocabularySize + 16 } };

        Assert.Equal(TinyTokenizer.VocabularySize + 16, Builder.Load(PackageFolder).Vocabulary.Size);
    }

    [Fact]
    public void Load_NgramModel_IsAccepted()
    {
        Builder.Manifest = Builder.Manifest with { Architecture = Builder.Manifest.Architecture with { NgramEmbeddings = 3 } };

        Assert.Equal(3, Builder.Load(PackageFolder).Manifest.Architecture.NgramEmbeddings);
    }

    [Fact]
    public void Load_FolderBehindLink_IsAccepted()
    {
        Builder.Write(PackageFolder);
        Directory.CreateSymbolicLink(Outside("current"), PackageFolder);

        Assert.Equal("tiny", ModelPackage.Load(Outside("current")).Manifest.Name);
    }

    [Fact]
    public void Load_FileThatNobodyListed_IsIgnored()
    {
        Builder.Write(PackageFolder);
        File.WriteAllText(Path.Combine(PackageFolder, "notes.txt"), "seen by people alone");

        Assert.Equal("tiny", ModelPackage.Load(PackageFolder).Manifest.Name);
    }

    [Fact]
    public void EncodeChat_TemplatesWithSpecialTokens_RecognisesThemThereAlone()
    {
        Builder.Manifest = Builder.Manifest with
        {
            Chat = new ChatFormat
            {
                System = new RoleFormat { Prefix = "<think>", Suffix = "\n" },
                User = new RoleFormat { Prefix = " Tom", Suffix = ".</think>" },
                Assistant = new RoleFormat { Suffix = "<eos>" },
            },
        };
        var package = Builder.Load(PackageFolder);

        var ids = package.EncodeChat([new("system", "yes"), new("user", "<eos>"), new("assistant", " True"), new("user", "")]);

        int[] expected =
        [
            .. PackageBuilder.Ids("<think>", "y", "e", "s", "\n", " Tom", "<", "e", "o", "s", ">", ".", "</think>", " True", "<eos>", " Tom", ".", "</think>"),
        ];
        Assert.Equal(expected, ids);
    }

    [Fact]
    public void EncodeChat_PlainRoles_EncodesJoinedText()
    {
        var package = Builder.Load(PackageFolder);

        // " lemp" + "us." is one word to the splitter although two messages bring its parts.
        var ids = package.EncodeChat([new("user", " Every lemp"), new("user", "us.")]);

        Assert.Equal(PackageBuilder.Ids(" Every", " lemp", "us."), ids);
    }

    [Fact]
    public void EncodeChat_UnknownRole_Throws()
    {
        var package = Builder.Load(PackageFolder);

        Assert.Throws<ArgumentException>(() => package.EncodeChat([new("tool", "x")]));
    }

    [Fact]
    public void EncodeChat_NoMessages_GivesNoIds() => Assert.Empty(Builder.Load(PackageFolder).EncodeChat([]));
}
