using System.Diagnostics;

namespace Tessera.Models.Tests.Packaging;

public sealed class PackageFilesTests : PackageTestBase
{
    private const string Data = "decoder.onnx.data";

    [Fact]
    public void Load_MissingFolder_IsRefused()
    {
        var refusal = Assert.Throws<ModelPackageException>(() => ModelPackage.Load(Outside("nowhere")));

        Assert.Equal(("package", "nothing"), (refusal.Field, refusal.Found));
    }

    [Fact]
    public void Load_PathOfAFile_IsRefused()
    {
        File.WriteAllText(Outside("model.zip"), "x");

        var refusal = Assert.Throws<ModelPackageException>(() => ModelPackage.Load(Outside("model.zip")));

        Assert.Equal(("package", "a file"), (refusal.Field, refusal.Found));
    }

    [Fact]
    public void Load_MissingManifest_IsRefused()
    {
        Directory.CreateDirectory(PackageFolder);

        var refusal = Assert.Throws<ModelPackageException>(() => ModelPackage.Load(PackageFolder));

        Assert.Equal(("tessera.json", "file", "no such file"), (refusal.File, refusal.Field, refusal.Found));
    }

    [Theory]
    [InlineData("tokenizer.json")]
    [InlineData("decoder.onnx")]
    [InlineData(Data)]
    [InlineData("codebook-decoder.onnx")]
    [InlineData("codebook-encoder.onnx")]
    public void Load_MissingFile_IsRefused(string name) => AssertRefused(name, "file", folder => File.Delete(Path.Combine(folder, name)));

    [Theory]
    [InlineData("tokenizer.json")]
    [InlineData("decoder.onnx")]
    [InlineData("codebook-decoder.onnx")]
    [InlineData("codebook-encoder.onnx")]
    public void Load_NeededFileThatIsNotListed_IsRefused(string name)
    {
        Builder.ChangeManifest = manifest => manifest with { Files = [.. manifest.Files.Where(file => file.Path != name)] };

        var refusal = Refusal();

        Assert.Equal(("tessera.json", "$.files", $"an entry for {name}"), (refusal.File, refusal.Field, refusal.Expected));
    }

    [Fact]
    public void Load_TruncatedFile_IsRefusedWithBothSizes()
    {
        var refusal = Refusal(folder =>
        {
            using var stream = File.OpenWrite(Path.Combine(folder, Data));
            stream.SetLength(100);
        });

        Assert.Equal((Data, "bytes", "100"), (refusal.File, refusal.Field, refusal.Found));
    }

    [Fact]
    public void Load_LongerFile_IsRefused() => AssertRefused(Data, "bytes", folder => File.AppendAllText(Path.Combine(folder, Data), "x"));

    [Fact]
    public void Load_AlteredByte_IsRefusedByHash() => AssertRefused(Data, "sha256", folder =>
    {
        using var stream = File.OpenWrite(Path.Combine(folder, Data));
        stream.WriteByte(1);
    });

    [Theory]
    [InlineData("/etc/hostname")]
    [InlineData("../outside.bin")]
    [InlineData("sub/../../outside.bin")]
    [InlineData("sub\\file.bin")]
    [InlineData("./file.bin")]
    [InlineData("sub//file.bin")]
    [InlineData("sub/")]
    [InlineData("C:file.bin")]
    [InlineData("file\u0000.bin")]
    [InlineData("")]
    public void Load_PathOutsideTheRule_IsRefused(string path)
    {
        Builder.ChangeManifest = manifest => manifest with { Files = [manifest.Files[0] with { Path = path }, .. manifest.Files] };

        AssertRefused("tessera.json", "$.files[0].path");
    }

    [Fact]
    public void Load_FileInSubfolder_IsAccepted()
    {
        Builder.Files["docs/card/README.md"] = [1, 2, 3];

        Assert.Contains(Builder.Load(PackageFolder).Manifest.Files, file => file.Path == "docs/card/README.md");
    }

    [Fact]
    public void Load_ManifestThatListsItself_IsRefused()
    {
        Builder.ChangeManifest = manifest => manifest with { Files = [manifest.Files[0] with { Path = "tessera.json" }, .. manifest.Files] };

        AssertRefused("tessera.json", "$.files[0].path");
    }

    [Fact]
    public void Load_FileListedTwice_IsRefused()
    {
        Builder.ChangeManifest = manifest => manifest with { Files = [.. manifest.Files, manifest.Files[0]] };

        AssertRefused("tessera.json", "$.files[5].path");
    }

    [Theory]
    [InlineData("")]
    [InlineData("xyz")]
    [InlineData("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]
    public void Load_HashOfAnotherForm_IsRefused(string hash)
    {
        Builder.ChangeManifest = manifest => manifest with { Files = [manifest.Files[0] with { Sha256 = hash }, .. manifest.Files.Skip(1)] };

        AssertRefused("tessera.json", "$.files[0].sha256");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    public void Load_SizeThatIsNotPositive_IsRefused(long bytes)
    {
        Builder.ChangeManifest = manifest => manifest with { Files = [manifest.Files[0] with { Bytes = bytes }, .. manifest.Files.Skip(1)] };

        AssertRefused("tessera.json", "$.files[0].bytes");
    }

    [Fact]
    public void Load_SymbolicLinkOutOfThePackage_IsRefused()
    {
        var refusal = Refusal(folder => ReplaceByLink(folder, Data, Outside("weights.bin")));

        Assert.Equal((Data, "a symbolic link"), (refusal.File, refusal.Found));
    }

    [Fact]
    public void Load_SymbolicLinkForTheManifest_IsRefused() =>
        AssertRefused("tessera.json", "file", folder => ReplaceByLink(folder, "tessera.json", Outside("elsewhere.json")));

    [Fact]
    public void Load_SymbolicLinkToNothing_IsRefused() => AssertRefused(Data, "file", folder =>
    {
        File.Delete(Path.Combine(folder, Data));
        File.CreateSymbolicLink(Path.Combine(folder, Data), Outside("nothing"));
    });

    [Fact]
    public void Load_FileBelowALinkedFolder_IsRefused()
    {
        Builder.Files["sub/file.bin"] = [1, 2, 3];

        AssertRefused("sub/file.bin", "file", folder =>
        {
            Directory.Move(Path.Combine(folder, "sub"), Outside("sub"));
            Directory.CreateSymbolicLink(Path.Combine(folder, "sub"), Outside("sub"));
        });
    }

    [Fact]
    public void Load_FolderInPlaceOfAFile_IsRefused()
    {
        var refusal = Refusal(folder =>
        {
            File.Delete(Path.Combine(folder, Data));
            Directory.CreateDirectory(Path.Combine(folder, Data));
        });

        Assert.Equal((Data, "a folder"), (refusal.File, refusal.Found));
    }

    [Fact]
    public void Load_HardLink_IsRefused()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux is asked for the number of names.");

        var refusal = Refusal(folder => Run("ln", Path.Combine(folder, Data), Outside("other-name")));

        Assert.Equal((Data, "2 hard links"), (refusal.File, refusal.Found));
    }

    [Fact]
    public void Load_PipeInPlaceOfAFile_IsRefusedWithoutWaiting()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "mkfifo.");

        var refusal = Refusal(folder =>
        {
            File.Delete(Path.Combine(folder, Data));
            Run("mkfifo", Path.Combine(folder, Data));
        });

        Assert.Equal((Data, "no plain file"), (refusal.File, refusal.Found));
    }

    private static void ReplaceByLink(string folder, string name, string target)
    {
        File.Move(Path.Combine(folder, name), target);
        File.CreateSymbolicLink(Path.Combine(folder, name), target);
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
