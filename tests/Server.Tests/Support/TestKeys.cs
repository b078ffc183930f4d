using Tessera.Server.Security;

namespace Tessera.Server.Tests.Support;

/// <summary>Key files with known keys.</summary>
internal static class TestKeys
{
    /// <summary>Adds a key to a file.</summary>
    /// <returns>The key as its owner has it.</returns>
    public static string Add(string path, string name, Func<KeyRecord, KeyRecord>? change = null)
    {
        var key = ApiKey.Create();
        var record = KeyRecord.Of(key, name, DateTimeOffset.UnixEpoch);
        KeyFile.Change(path, keys => [.. keys, change is null ? record : change(record)]);
        return key.ToString();
    }

    /// <summary>Revokes a key.</summary>
    public static void Revoke(string path, string name) =>
        KeyFile.Change(path, keys => [.. keys.Select(key => key.Name == name ? key with { Revoked = DateTimeOffset.UnixEpoch } : key)]);

    /// <summary>A store of a file, without limits unless a key has its own.</summary>
    public static KeyStore Open(string path, TimeProvider? time = null) => new(path, default, time ?? TimeProvider.System);
}
