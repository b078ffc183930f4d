using System.Collections;
using Microsoft.Extensions.Logging;
using Tessera.Engine;
using Tessera.Server.Hosting;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Hosting;

public sealed class OptionsReaderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string SettingsFile => _folder["appsettings.json"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_NothingGiven_GivesDefaults()
    {
        var options = Read(new Hashtable(), [], out var problems);

        Assert.Empty(problems);
        Assert.Equal(new TesseraOptions(), options);
        Assert.Equal(("127.0.0.1", 8080, 8081, 1 << 20, 20), (options.Server.Host, options.Server.RestPort, options.Server.GrpcPort, options.Server.MaxBodyBytes, options.Server.DrainSeconds));
    }

    [Fact]
    public void Read_SeveralSources_LastWins()
    {
        File.WriteAllText(SettingsFile, """{ /* comment */ "Engine": { "MaxSlots": 2, "Threads": 2, "PrefillChunk": 2 }, "server": { "LogLevel": "debug" } }""");

        var options = Read(
            new Hashtable { ["TESSERA__Engine__Threads"] = "3", ["TESSERA__ENGINE__PREFILLCHUNK"] = "3", ["OTHER__Engine__MaxSlots"] = "9", ["TESSERA_ORT_LIBRARY"] = "x" },
            ["--Engine:PrefillChunk", "4", "--Server:RestPort=0", "--Model:Package", "/a b"], out var problems);

        Assert.Empty(problems);
        Assert.Equal((2, 3, 4), (options.Engine.MaxSlots, options.Engine.Threads, options.Engine.PrefillChunk));
        Assert.Equal((0, "/a b", LogLevel.Debug), (options.Server.RestPort, options.Model.Package, options.Server.LogLevel));
    }

    [Theory]
    [InlineData("--Engine:MaxSlot", "4", "Engine:MaxSlot: expected one of the options that --help lists, found an unknown one (command line)")]
    [InlineData("--MaxSlots", "4", "MaxSlots: expected one of the options that --help lists, found an unknown one (command line); did you mean Engine:MaxSlots?")]
    [InlineData("--Engine:MaxSlots", "0", "Engine:MaxSlots: expected a whole number from 1 to 1024, found '0' (command line)")]
    [InlineData("--Engine:MaxSlots", "1e3", "Engine:MaxSlots: expected a whole number from 1 to 1024, found '1e3' (command line)")]
    [InlineData("--Server:RestPort", "70000", "Server:RestPort: expected a whole number from 0 to 65535, found '70000' (command line)")]
    [InlineData("--Server:Host", "example.org", "Server:Host: expected an IP address or localhost, found 'example.org' (command line)")]
    [InlineData("--Server:LogLevel", "3", "Server:LogLevel: expected Trace, Debug, Information, Warning, Error, Critical, None, found '3' (command line)")]
    [InlineData("--Server:GrpcPort", "8080", "Server:GrpcPort: expected a port other than Server:RestPort, found 8080 for both")]
    public void Read_BadCommandLine_NamesTheOption(string key, string value, string problem)
    {
        Read(new Hashtable(), [key, value], out var problems);

        Assert.Equal([problem], problems);
    }

    [Theory]
    [InlineData("--Engine:MaxSlots", "Engine:MaxSlots: expected a value after it, found the end of the command line")]
    [InlineData("serve", "command line: expected --Section:Name value, found 'serve'")]
    [InlineData("--", "command line: expected --Section:Name value, found '--'")]
    public void Read_CommandLineOfOtherForm_SaysWhatIsExpected(string argument, string problem)
    {
        Read(new Hashtable(), [argument], out var problems);

        Assert.Equal([problem], problems);
    }

    [Fact]
    public void Read_BadEnvironment_NamesTheVariable()
    {
        Read(new Hashtable { ["TESSERA__Engine__Slots"] = "4" }, [], out var problems);

        Assert.Equal(["Engine:Slots: expected one of the options that --help lists, found an unknown one (environment variable TESSERA__Engine__Slots)"], problems);
    }

    [Theory]
    [InlineData("""{ "Engine": { "Slots": 4 } }""", "Engine:Slots: expected one of the options that --help lists, found an unknown one (appsettings.json)")]
    [InlineData("""{ "Engine": { "MaxSlots": [4] } }""", "Engine:MaxSlots: expected one value, found a list (appsettings.json)")]
    [InlineData("""{ "Engine": { "MaxSlots": {"a": 1} } }""", "Engine:MaxSlots:a: expected one of the options that --help lists, found an unknown one (appsettings.json)")]
    [InlineData("""{ "Engine": { "MaxSlots": true } }""", "Engine:MaxSlots: expected a whole number from 1 to 1024, found 'true' (appsettings.json)")]
    [InlineData("""{ "Engine": """, "appsettings.json: expected JSON, found an error at line 1, position 13")]
    [InlineData("7", "appsettings.json: expected an object of sections, found a single value")]
    public void Read_BadFile_NamesFileOrOption(string content, string problem)
    {
        File.WriteAllText(SettingsFile, content);

        Read(new Hashtable(), [], out var problems);

        Assert.Equal([problem], problems);
    }

    [Fact]
    public void Read_SeveralProblems_ListsAll()
    {
        Read(new Hashtable { ["TESSERA__Nope"] = "1" }, ["--Engine:MaxSlots", "-1", "--Server:Host", "?"], out var problems);

        Assert.Equal(3, problems.Count);
    }

    [Fact]
    public void Catalog_EveryOptionOfTheRecords_IsListed()
    {
        var properties = from section in (Type[])[typeof(ServerOptions), typeof(SecurityOptions), typeof(TelemetryOptions), typeof(ModelOptions), typeof(EngineOptions)]
                         from property in section.GetProperties()
                         select $"{section.Name.Replace("Options", "", StringComparison.Ordinal)}:{property.Name}";

        Assert.Equal(properties.Order(), OptionCatalog.All.Select(option => option.Key).Order());
    }

    [Fact]
    public void Catalog_EveryOption_IsInTheReferenceWithItsDefault()
    {
        var reference = File.ReadAllLines(Path.Combine(RepositoryFolder.Path, "docs", "reference", "options.md"));
        var defaults = new TesseraOptions();

        Assert.All(OptionCatalog.All, option => Assert.Contains(
            reference, line => line.StartsWith($"| `{option.Key}` | {(option.Show(defaults) is { Length: > 0 } value ? value : "empty")} | ", StringComparison.Ordinal)));
    }

    [Fact]
    public void Catalog_EveryOption_TheReferenceSaysWhetherItNeedsARestart()
    {
        var reference = File.ReadAllLines(Path.Combine(RepositoryFolder.Path, "docs", "reference", "options.md"));

        Assert.All(OptionCatalog.All, option => Assert.EndsWith(
            option.IsLive ? " | at once |" : " | restart |", reference.Single(line => line.StartsWith($"| `{option.Key}` |", StringComparison.Ordinal)), StringComparison.Ordinal));
    }

    [Fact]
    public void Read_OtherFileNamed_IsReadInstead()
    {
        File.WriteAllText(SettingsFile, """{ "Engine": { "MaxSlots": 2 } }""");
        File.WriteAllText(_folder["other.json"], """{ "Engine": { "MaxSlots": 3 } }""");
        var environment = new Hashtable { ["TESSERA__Server__SettingsFile"] = _folder["other.json"] };

        Assert.Equal(3, Read(environment, [], out var problems).Engine.MaxSlots);
        Assert.Empty(problems);
        Assert.Equal(_folder["other.json"], OptionsReader.SettingsFile(SettingsFile, environment, []));
        Assert.Equal(2, Read(environment, ["--Server:SettingsFile", SettingsFile], out _).Engine.MaxSlots);
        Assert.Equal(SettingsFile, OptionsReader.SettingsFile(SettingsFile, new Hashtable(), []));
    }

    [Fact]
    public void Read_OtherFileNamedThatIsMissing_SaysSo()
    {
        Read(new Hashtable(), ["--Server:SettingsFile", _folder["gone.json"]], out var problems);

        Assert.Equal([$"Server:SettingsFile: expected a file, found none at '{_folder["gone.json"]}'"], problems);
    }

    [Fact]
    public void Read_FileThatNamesAFile_IsRefused()
    {
        File.WriteAllText(SettingsFile, """{ "Server": { "SettingsFile": "other.json" } }""");

        Read(new Hashtable(), [], out var problems);

        Assert.Equal(["Server:SettingsFile: expected in the environment or on the command line, found in appsettings.json"], problems);
    }

    [Fact]
    public void Catalog_EveryOption_TakesItsOwnDefault()
    {
        var defaults = new TesseraOptions();

        Assert.All(OptionCatalog.All, option => Assert.Equal(defaults, option.Apply(defaults, option.Show(defaults))));
    }

    [Fact]
    public void Help_EveryOption_IsListedWithItsDefault()
    {
        var help = HelpText.Write();

        Assert.All(OptionCatalog.All, option => Assert.Matches($"--{option.Key} +{(option.IsLive ? @"\* " : "[^*]")}[^\\n]+\\[[^\\]]+\\]\\r?\\n", help));
        Assert.Contains("[8080]", help, StringComparison.Ordinal);
    }

    private TesseraOptions Read(Hashtable environment, string[] args, out IReadOnlyList<string> problems) => OptionsReader.Read(SettingsFile, environment, args, out problems);
}
