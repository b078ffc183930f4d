namespace Tessera.Server.Security;

/// <summary>Who sends a request. A feature of its context once it may go on.</summary>
/// <param name="KeyId">Id of the key; empty where no keys are configured.</param>
/// <param name="Name">Name of the key; anonymous where no keys are configured.</param>
/// <param name="Limits">What the caller may still do.</param>
internal sealed record CallerIdentity(string KeyId, string Name, CallerLimits Limits)
{
    /// <summary>Keeps cached prompt prefixes of one caller from the others; null where there is only one.</summary>
    public string? CacheSalt => KeyId.Length == 0 ? null : KeyId;
}
