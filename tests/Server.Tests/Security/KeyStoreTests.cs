using Tessera.Server.Hosting;
using Tessera.Server.Security;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Security;

public sealed class KeyStoreTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ManualTime _time = new();

    private string KeyPath => _folder["keys.json"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Key_MadeAndWritten_IsReadBackAndHasItsEntropy()
    {
        var key = ApiKey.Create();

        Assert.True(ApiKey.TryParse(key.ToString(), out var read));
        Assert.Equal(key, read);
        Assert.Matches("^tsk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$", key.ToString());
        Assert.Equal(100, Enumerable.Range(0, 100).Select(_ => ApiKey.Create().Secret).Distinct().Count());
    }

    [Fact]
    public void Authenticate_ValidKey_TellsWhoItIsAndKeepsItsCacheApart()
    {
        var key = TestKeys.Add(KeyPath, "alice");
        TestKeys.Add(KeyPath, "bob");

        var caller = TestKeys.Open(KeyPath).Authenticate(key);

        Assert.Equal("alice", caller!.Name);
        Assert.Equal(key[4..16], caller.KeyId);
        Assert.Equal(caller.KeyId, caller.CacheSalt);
    }

    [Fact]
    public void Authenticate_SecretOfAnotherKey_IsRefused()
    {
        var (alice, bob) = (TestKeys.Add(KeyPath, "alice"), TestKeys.Add(KeyPath, "bob"));

        Assert.Null(TestKeys.Open(KeyPath).Authenticate(alice[..17] + bob[17..]));
    }

    [Fact]
    public void Authenticate_KeyExpires_IsRefusedFromThatMomentOn()
    {
        var key = TestKeys.Add(KeyPath, "alice", record => record with { Expires = _time.GetUtcNow().AddDays(1) });
        var store = TestKeys.Open(KeyPath, _time);

        _time.Advance(TimeSpan.FromDays(1) - TimeSpan.FromTicks(1));
        Assert.NotNull(store.Authenticate(key));
        _time.Advance(TimeSpan.FromTicks(1));
        Assert.Null(store.Authenticate(key));
    }

    [Fact]
    public void Store_NoFile_IsOpen()
    {
        var store = new KeyStore(null, default, _time);

        Assert.True(store.IsOpen);
        Assert.Equal(("", null), (store.Anonymous.KeyId, store.Anonymous.CacheSalt));
    }

    [Fact]
    public void Store_FileWithoutKeys_LetsNobodyIn()
    {
        File.WriteAllText(KeyPath, """{ "keys": [] }""");

        var store = TestKeys.Open(KeyPath);

        Assert.False(store.IsOpen);
        Assert.Null(store.Authenticate(ApiKey.Create().ToString()));
    }

    [Fact]
    public void Reload_FileChanged_KeepsWhatCallersHaveUsedUp()
    {
        var key = TestKeys.Add(KeyPath, "alice", record => record with { RequestsPerMinute = 1 });
        var store = TestKeys.Open(KeyPath, _time);
        Assert.Null(store.Authenticate(key)!.Limits.TakeRequest());

        Assert.False(store.ReloadIfChanged());
        TestKeys.Add(KeyPath, "bob");
        Assert.True(store.ReloadIfChanged());

        Assert.NotNull(store.Authenticate(key)!.Limits.TakeRequest());
    }

    [Fact]
    public void Reload_FileGone_ThrowsOnceAndKeepsTheKeys()
    {
        var key = TestKeys.Add(KeyPath, "alice");
        var store = TestKeys.Open(KeyPath);
        File.Delete(KeyPath);

        Assert.Throws<StartException>(() => store.ReloadIfChanged());
        Assert.False(store.ReloadIfChanged());
        Assert.NotNull(store.Authenticate(key));
    }

    [Fact]
    public void File_Written_HoldsNoSecretAndIsItsOwnersAlone()
    {
        var key = TestKeys.Add(KeyPath, "alice");

        Assert.DoesNotContain(key[17..], File.ReadAllText(KeyPath), StringComparison.Ordinal);
        Assert.True(OperatingSystem.IsWindows() || File.GetUnixFileMode(KeyPath) == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
        Assert.Equal([KeyPath], Directory.GetFiles(_folder.FullPath));
    }

    [Theory]
    [InlineData("", "line 1")]
    [InlineData("[]", "line 1")]
    [InlineData("""{ "keys": [ { "id": "000000000000" } ] }""", "keys[0]")]
    [InlineData("""{ "keys": [], "more": 1 }""", "$.more")]
    [InlineData("""{ "keys": [ { "id": "X", "name": "a", "salt": "", "hash": "", "created": "2026-01-01T00:00:00Z" } ] }""", "keys[0].id: expected 12 hexadecimal digits")]
    [InlineData("""{ "keys": [ { "id": "000000000000", "name": "a", "salt": "AAAA", "hash": "", "created": "2026-01-01T00:00:00Z" } ] }""", "keys[0].salt: expected base64 of 16 bytes")]
    [InlineData("""{ "keys": [ { "id": "000000000000", "name": "a", "salt": "AAAAAAAAAAAAAAAAAAAAAA==", "hash": "AAAA", "created": "2026-01-01T00:00:00Z" } ] }""", "keys[0].hash: expected base64 of 32 bytes")]
    public void File_NotWhatAddWrites_IsRefusedByName(string content, string named)
    {
        File.WriteAllText(KeyPath, content);

        var refusal = Assert.Throws<StartException>(() => TestKeys.Open(KeyPath));

        Assert.StartsWith(KeyPath + ": ", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(named, refusal.Message, StringComparison.Ordinal);
    }
}
