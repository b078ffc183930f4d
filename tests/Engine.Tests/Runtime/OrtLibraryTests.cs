using Tessera.Engine.Runtime;
using Tessera.Testing;

namespace Tessera.Engine.Tests.Runtime;

public sealed class OrtLibraryTests
{
    [Fact]
    public void Version_OfTheInstalledLibrary_IsThePinnedOne() => Assert.StartsWith("1.30.", OrtLibrary.Version);

    [Fact]
    public void LoadedPath_OfTheInstalledLibrary_IsAFile() => Assert.True(File.Exists(OrtLibrary.LoadedPath));

    [Fact]
    public void Telemetry_AfterLoading_IsOffInTheNativeEnvironment()
    {
        _ = OrtLibrary.Version;

        Assert.Equal("1", NativeEnvironment.Get("ORT_DISABLE_TELEMETRY"));
    }

    [Fact]
    public void Set_NewVariable_IsSeenByNativeCode()
    {
        Assert.Null(NativeEnvironment.Get("TESSERA_TEST_VARIABLE"));

        NativeEnvironment.Set("TESSERA_TEST_VARIABLE", "höhe");

        Assert.Equal("höhe", NativeEnvironment.Get("TESSERA_TEST_VARIABLE"));
    }

    [Fact]
    public void Find_NamedFileMissing_NamesVariableAndValue()
    {
        var error = Assert.Throws<OrtLibraryException>(() => OrtLibrary.Find("/nowhere/libonnxruntime.so", "/"));

        Assert.StartsWith("TESSERA_ORT_LIBRARY: expected the path of ", error.Message);
        Assert.EndsWith("found '/nowhere/libonnxruntime.so', which is not a file", error.Message);
    }

    [Fact]
    public void Find_NothingInstalled_SaysWhatToDo()
    {
        using var folder = new TemporaryFolder();

        var error = Assert.Throws<OrtLibraryException>(() => OrtLibrary.Find(null, folder.FullPath));

        Assert.Contains(folder.FullPath, error.Message);
        Assert.Contains("npm ci --ignore-scripts", error.Message);
        Assert.Contains("TESSERA_ORT_LIBRARY", error.Message);
    }

    [Fact]
    public void Find_NamedFile_GoesBeforeTheOneBesideTheProgram()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder[OrtLibrary.FileName], "");
        File.WriteAllText(folder["other.so"], "");

        Assert.Equal(folder["other.so"], OrtLibrary.Find(folder["other.so"], folder.FullPath));
    }

    [Fact]
    public void Find_BesideTheProgramAndAbove_TakesTheOneBeside()
    {
        using var folder = new TemporaryFolder();
        var above = Install(folder.FullPath);
        var program = Directory.CreateDirectory(folder["program"]).FullName;

        Assert.Equal(above, OrtLibrary.Find("", program));
        File.WriteAllText(Path.Combine(program, OrtLibrary.FileName), "");
        Assert.Equal(Path.Combine(program, OrtLibrary.FileName), OrtLibrary.Find("", program));
    }

    [Fact]
    public void Load_NotALibrary_NamesTheFile()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["broken.so"], "no ELF");

        var error = Assert.Throws<OrtLibraryException>(() => OrtLibrary.Load(folder["broken.so"]));

        Assert.Contains(folder["broken.so"], error.Message);
    }

    [Theory]
    [InlineData("1.29.3")]
    [InlineData("2.0.0")]
    [InlineData("1")]
    [InlineData("")]
    [InlineData("1.x.0")]
    public void CheckVersion_OldOrUnknown_NamesBothVersions(string version)
    {
        var error = Assert.Throws<OrtLibraryException>(() => OrtLibrary.CheckVersion("lib.so", version));

        Assert.Equal($"'lib.so': expected ONNX Runtime 1.30 or a later 1.x, found {version}", error.Message);
    }

    [Theory]
    [InlineData("1.30.0")]
    [InlineData("1.31.2")]
    public void CheckVersion_PinnedOrLater_IsTaken(string version) => OrtLibrary.CheckVersion("lib.so", version);

    private static string Install(string root)
    {
        var path = Path.Combine(root, OrtLibrary.PackagePath);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, "");
        return path;
    }
}
