using System.Security.Cryptography;

namespace Tessera.Server.Security;

/// <summary>A key as it is stored: never its secret.</summary>
internal sealed record KeyRecord
{
    /// <summary>Id, the part of the key that may be shown.</summary>
    public required string Id { get; init; }

    /// <summary>Who has it.</summary>
    public required string Name { get; init; }

    /// <summary>Base64 of the salt.</summary>
    public required string Salt { get; init; }

    /// <summary>Base64 of SHA-256 over salt and secret.</summary>
    public required string Hash { get; init; }

    /// <summary>When it was made.</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>From when on it is not valid any more; null = never.</summary>
    public DateTimeOffset? Expires { get; init; }

    /// <summary>When it was revoked; null = it was not.</summary>
    public DateTimeOffset? Revoked { get; init; }

    /// <summary>Requests per minute; 0 = no limit, null = the server's default.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Tokens per minute; 0 = no limit, null = the server's default.</summary>
    public int? TokensPerMinute { get; init; }

    /// <summary>The record of a new key.</summary>
    public static KeyRecord Of(ApiKey key, string name, DateTimeOffset created)
    {
        var salt = RandomNumberGenerator.GetBytes(ApiKey.SaltBytes);
        return new() { Id = key.Id, Name = name, Salt = Convert.ToBase64String(salt), Hash = Convert.ToBase64String(key.Hash(salt)), Created = created };
    }

    /// <summary>Whether the key is good at a time.</summary>
    public bool IsValidAt(DateTimeOffset time) => Revoked is null && !(Expires <= time);
}
