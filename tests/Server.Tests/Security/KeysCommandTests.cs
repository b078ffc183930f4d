using System.Collections;
using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Testing;

namespace Tessera.Server.Tests.Security;

/// <summary><c>keys add|list|revoke</c> as its user sees it, and who may start a server without keys.</summary>
public sealed class KeysCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly Hashtable _environment = [];
    private string _output = "";
    private string _error = "";

    public KeysCommandTests() => _environment["XDG_CONFIG_HOME"] = _folder["config"];

    private string KeyPath => _folder["config/tessera/keys.json"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Add_Name_PrintsAKeyThatTheStoreKnows()
    {
        Assert.Equal(0, await RunAsync("keys", "add", "alice"));

        var key = _output.TrimEnd();
        Assert.Equal("alice", new KeyStore(KeyPath, default, TimeProvider.System).Authenticate(key)!.Name);
        Assert.Contains(KeyPath, _error, StringComparison.Ordinal);
        Assert.DoesNotContain(key, _error, StringComparison.Ordinal);
        Assert.EndsWith("Every server of this user asks for a key from its next start on, unless Security:KeyFile names another file.", _error.TrimEnd(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Add_WithLimits_AreInTheFile()
    {
        Assert.Equal(0, await RunAsync(
            "keys", "add", "alice", "--expires", "30", "--requests-per-minute", "5", "--tokens-per-minute", "0", "--Security:KeyFile", _folder["other.json"]));

        var key = Assert.Single(KeyFile.Read(_folder["other.json"]));
        Assert.Equal((5, 0), (key.RequestsPerMinute, key.TokensPerMinute));
        Assert.Equal(TimeSpan.FromDays(30), key.Expires - key.Created);
        Assert.False(File.Exists(KeyPath));
        Assert.DoesNotContain("Every server", _error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_SeveralKeys_ShowsStatesAndNoSecret()
    {
        await RunAsync("keys", "add", "alice");
        var secret = _output.TrimEnd()[17..];
        await RunAsync("keys", "add", "bob", "--expires", "1");
        await RunAsync("keys", "revoke", "alice");

        Assert.Equal(0, await RunAsync("keys", "list"));

        var lines = _output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Matches(@"^[0-9a-f]{12}  revoked \d{4}-\d\d-\d\d  made \d{4}-\d\d-\d\d  does not expire  alice$", lines[0]);
        Assert.Matches(@"^[0-9a-f]{12}  valid  made \d{4}-\d\d-\d\d  expires \d{4}-\d\d-\d\d  bob$", lines[1]);
        Assert.DoesNotContain(secret, _output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Revoke_ByNameOrId_EndsThatKeyAlone()
    {
        await RunAsync("keys", "add", "alice");
        var alice = _output.TrimEnd();
        await RunAsync("keys", "add", "bob");
        var bob = _output.TrimEnd();

        Assert.Equal(0, await RunAsync("keys", "revoke", alice[4..16]));

        var store = new KeyStore(KeyPath, default, TimeProvider.System);
        Assert.Null(store.Authenticate(alice));
        Assert.NotNull(store.Authenticate(bob));
        // The name is free again.
        Assert.Equal(0, await RunAsync("keys", "add", "alice"));
    }

    [Theory]
    [InlineData("error: keys: expected 'add NAME', 'list' or 'revoke ID|NAME', found something else; --help tells more", "keys")]
    [InlineData("error: keys: expected 'add NAME', 'list' or 'revoke ID|NAME', found something else; --help tells more", "keys", "add")]
    [InlineData("error: keys: expected 'add NAME', 'list' or 'revoke ID|NAME', found something else; --help tells more", "keys", "list", "--expires", "3")]
    [InlineData("error: keys add: NAME: expected 1 to 64 characters, found something else", "keys", "add", "")]
    [InlineData("error: --expires: expected a whole number from 1 to 36500, found '0'", "keys", "add", "a", "--expires", "0")]
    [InlineData("error: --tokens-per-minute: expected a whole number from 0 to 2147483647, found '-1'", "keys", "add", "a", "--tokens-per-minute", "-1")]
    [InlineData("error: keys: expected --expires, --requests-per-minute, --tokens-per-minute or an option of the server, found '--nope'", "keys", "add", "a", "--nope", "1")]
    [InlineData("error: keys revoke: expected id or name of a key that is not revoked, found 'nobody'", "keys", "revoke", "nobody")]
    public async Task Command_Wrong_IsOneLine(string expected, params string[] args)
    {
        Assert.Equal(1, await RunAsync(args));
        Assert.Equal(expected, _error.TrimEnd());
        Assert.Equal("", _output);
    }

    [Fact]
    public async Task Add_NameOfAValidKey_IsRefused()
    {
        await RunAsync("keys", "add", "alice");

        Assert.Equal(1, await RunAsync("keys", "add", "alice"));
        Assert.Equal("error: keys add: NAME: expected one that no valid key has, found 'alice'", _error.TrimEnd());
        Assert.Single(KeyFile.Read(KeyPath));
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("::")]
    [InlineData("192.0.2.1")]
    public async Task Start_BeyondLoopbackWithoutKeys_IsRefusedInOneLine(string host)
    {
        Assert.Equal(1, await RunAsync("--Server:Host", host));
        Assert.StartsWith($"error: Server:Host: {host} can be reached from other machines: expected API keys", _error, StringComparison.Ordinal);
        Assert.Single(_error.TrimEnd().Split('\n'));
    }

    [Theory]
    [InlineData("--Security:AllowOpen", "true")]
    [InlineData("--Server:Host", "127.0.0.1")]
    [InlineData("--Server:Host", "::1")]
    [InlineData("--Server:Host", "localhost")]
    public async Task Start_OpenOnPurposeOrOnLoopback_GetsPastTheCheck(string option, string value)
    {
        Assert.Equal(1, await RunAsync("--Server:Host", "0.0.0.0", option, value));
        Assert.StartsWith("error: Model:Package", _error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_BeyondLoopbackWithKeys_GetsPastTheCheck()
    {
        await RunAsync("keys", "add", "alice");

        Assert.Equal(1, await RunAsync("--Server:Host", "0.0.0.0"));
        Assert.StartsWith("error: Model:Package", _error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_NamedKeyFileMissing_IsRefusedEvenOnLoopback()
    {
        Assert.Equal(1, await RunAsync("--Security:KeyFile", _folder["gone.json"]));
        Assert.StartsWith($"error: {_folder["gone.json"]}: expected a readable file of API keys, found none", _error, StringComparison.Ordinal);
    }

    private async Task<int> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await new ServerCommand(_folder.FullPath, _environment, output, error).RunAsync(args);
        (_output, _error) = (output.ToString(), error.ToString());
        return code;
    }
}
