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
