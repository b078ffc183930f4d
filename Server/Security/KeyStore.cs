using System.Collections.Concurrent;
using System.Security.Cryptography;
using Tessera.Server.Hosting;

namespace Tessera.Server.Security;

/// <summary>The keys that are good now. Thread-safe; reads its file again without a restart.</summary>
internal sealed class KeyStore
{
    private static readonly byte[] NoSalt = new byte[ApiKey.SaltBytes];
    private static readonly byte[] NoHash = new byte[SHA256.HashSizeInBytes];

    private readonly string? _path;
    private readonly TimeProvider _timeProvider;
    private readonly ConcurrentDictionary<string, CallerLimits> _limits = new();
    private readonly Lock _lock = new();
    private volatile Dictionary<string, KeyRecord> _keys = [];
    private RateDefaults _defaults;
    private FileStamp _stamp;

    /// <summary>Opens the store.</summary>
    /// <param name="path">The file; null = no keys are configured, and everybody who can reach the server may use it.</param>
    /// <param name="defaults">Limits of callers that have none of their own.</param>
    /// <param name="timeProvider">Clock.</param>
    /// <exception cref="StartException">The file is missing or wrong.</exception>
    public KeyStore(string? path, RateDefaults defaults, TimeProvider timeProvider)
    {
        _path = path;
        _timeProvider = timeProvider;
        _defaults = defaults;
        Anonymous = new CallerIdentity("", "anonymous", new CallerLimits(timeProvider));
        Load();
    }

    /// <summary>Whether no keys are configured.</summary>
    public bool IsOpen => _path is null;

    /// <summary>The one caller of an open server.</summary>
    public CallerIdentity Anonymous { get; }

    /// <summary>Who has a key; null when it is unknown, wrong, expired or revoked. Takes the same time for each of these.</summary>
    public CallerIdentity? Authenticate(string text)
    {
        var isKey = ApiKey.TryParse(text, out var key);
        var record = isKey ? _keys.GetValueOrDefault(key!.Id) : null;
        var salt = record is null ? NoSalt : Convert.FromBase64String(record.Salt);
        var expected = record is null ? NoHash : Convert.FromBase64String(record.Hash);
        var isEqual = CryptographicOperations.FixedTimeEquals((key ?? new ApiKey("", text)).Hash(salt), expected);
        return isEqual && record is not null && record.IsValidAt(_timeProvider.GetUtcNow())
            ? new CallerIdentity(record.Id, record.Name, _limits.GetOrAdd(record.Id, _ => new CallerLimits(_timeProvider)))
            : null;
    }

    /// <summary>Reads the file again when it has changed.</summary>
    /// <returns>Whether it was read.</returns>
    /// <exception cref="StartException">It is missing or wrong now; what was read before stays in force.</exception>
    public bool ReloadIfChanged()
    {
        lock (_lock)
        {
            if (_path is null || FileStamp.Of(_path) == _stamp)
            {
                return false;
            }

            Load();
            return true;
        }
    }

    /// <summary>Changes the limits of callers that have none of their own.</summary>
    public void SetDefaults(RateDefaults defaults)
    {
        lock (_lock)
        {
            _defaults = defaults;
            ConfigureLimits(_keys.Values);
        }
    }

    private void Load()
    {
        if (_path is not null)
        {
            // Taken first: a change while the file is read is then seen the next time. A wrong file is reported once, not every second.
            _stamp = FileStamp.Of(_path);
            var records = KeyFile.Read(_path);
            ConfigureLimits(records);
            _keys = records.ToDictionary(record => record.Id, StringComparer.Ordinal);
        }

        Anonymous.Limits.Configure(_defaults.RequestsPerMinute, _defaults.TokensPerMinute);
    }

    private void ConfigureLimits(IEnumerable<KeyRecord> records)
    {
        foreach (var record in records)
        {
            _limits.GetOrAdd(record.Id, _ => new CallerLimits(_timeProvider)).Configure(
                record.RequestsPerMinute ?? _defaults.RequestsPerMinute, record.TokensPerMinute ?? _defaults.TokensPerMinute);
        }

        Anonymous.Limits.Configure(_defaults.RequestsPerMinute, _defaults.TokensPerMinute);
    }
}

/// <summary>Limits of callers that have none of their own; 0 = no limit.</summary>
internal readonly record struct RateDefaults(int RequestsPerMinute, int TokensPerMinute);
