using System.Collections;
using Tessera.Server.Hosting;
using Tessera.Testing;

namespace Tessera.Server.Tests.Hosting;

public sealed class ReloadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string SettingsFile => _folder["appsettings.json"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_FileUnchanged_GivesNothingUnlessForced()
    {
        Write("""{ "Security": { "RequestsPerMinute": 5 } }""", year: 2001);
        var reload = NewReload();

        Assert.Null(reload.Read(isForced: false, out _));
        Assert.Equal(5, reload.Read(isForced: true, out _)!.Security.RequestsPerMinute);
    }

    [Fact]
    public void Read_FileChanged_GivesTheNewLimitsOnce()
    {
        Write("{}", year: 2001);
        var reload = NewReload();
        Write("""{ "Security": { "TokensPerMinute": 9 } }""", year: 2002);

        Assert.Equal(9, reload.Read(isForced: false, out var problems)!.Security.TokensPerMinute);
        Assert.Empty(problems);
        Assert.Null(reload.Read(isForced: false, out _));
    }

    [Fact]
    public void Read_FileChangedToNonsense_GivesTheProblemsOnceAndNoOptions()
    {
        Write("{}", year: 2001);
        var reload = NewReload();
        Write("""{ "Security": { "TokensPerMinute": -1 } }""", year: 2002);

        Assert.Null(reload.Read(isForced: false, out var problems));
        Assert.StartsWith("Security:TokensPerMinute: expected ", Assert.Single(problems), StringComparison.Ordinal);
        Assert.Null(reload.Read(isForced: false, out problems));
        Assert.Empty(problems);
    }

    [Fact]
    public void Read_FileIsALinkWhoseTargetIsSwapped_IsAChange()
    {
        File.WriteAllText(_folder["one.json"], "{}");
        File.WriteAllText(_folder["two.json"], """{ "Security": { "TokensPerMinute": 9 } }""");
        File.CreateSymbolicLink(SettingsFile, _folder["one.json"]);
        var reload = NewReload();

        File.Delete(SettingsFile);
        File.CreateSymbolicLink(SettingsFile, _folder["two.json"]);

        Assert.Equal(9, reload.Read(isForced: false, out _)!.Security.TokensPerMinute);
    }

    [Fact]
    public void TakeOver_LiveAndOtherOptionsChanged_TakesTheLiveOnesAndNamesBoth()
    {
        var start = new TesseraOptions();
        var live = new LiveOptions(start);

        var change = live.TakeOver(start with
        {
            Server = start.Server with { RestPort = 9, RequestSeconds = 10, HeaderSeconds = 11 },
            Engine = start.Engine with { MaxSlots = 12, MaxChoices = 13 },
        });

        Assert.Equal(["Server:RequestSeconds 10", "Engine:MaxChoices 13"], change.Taken);
        Assert.Equal(["Server:RestPort", "Server:HeaderSeconds", "Engine:MaxSlots"], change.Waiting);
        Assert.Equal(start with { Server = start.Server with { RequestSeconds = 10 }, Engine = start.Engine with { MaxChoices = 13 } }, live.Current);
    }

    [Fact]
    public void TakeOver_EveryLiveOption_IsTaken()
    {
        var live = new LiveOptions(new TesseraOptions());
        var options = OptionCatalog.All.Where(option => option.IsLive).ToList();
        static string Other(OptionDescriptor option) => option.Key == "Server:MaxBodyBytes" ? "2048" : "7";
        var changed = options.Aggregate(new TesseraOptions(), (all, option) => option.Apply(all, Other(option))!);

        var change = live.TakeOver(changed);

        Assert.Equal(changed, live.Current);
        Assert.Equal(options.Select(option => $"{option.Key} {Other(option)}"), change.Taken);
        Assert.Empty(change.Waiting);
    }

    // Files that are written within one tick of the clock would look alike.
    private void Write(string content, int year)
    {
        File.WriteAllText(SettingsFile, content);
        File.SetLastWriteTimeUtc(SettingsFile, new DateTime(year, 1, 1, 0, 0, 0, DateTimeKind.Utc));
    }

    private OptionsReload NewReload() => new(SettingsFile, () =>
    {
        var options = OptionsReader.Read(SettingsFile, new Hashtable(), [], out var problems);
        return (options, problems);
    });
}
