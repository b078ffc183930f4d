using Tessera.Server.Telemetry;

namespace Tessera.Server.Api;

/// <summary>Keeps cached prompt prefixes apart: those of one caller from the others', and within a caller by the salt that requests give.</summary>
internal static class CacheSalts
{
    /// <summary>The salt of a request.</summary>
    /// <param name="context">The request, whose caller is known.</param>
    /// <param name="given">What the request gives; null for none.</param>
    /// <returns>Null for a server without keys and a request without a salt.</returns>
    public static string? Of(HttpContext context, string? given) => Of(RequestTelemetry.Of(context), given);

    /// <inheritdoc cref="Of(HttpContext, string?)"/>
    public static string? Of(RequestTelemetry telemetry, string? given) =>
        telemetry.Caller?.CacheSalt is { } caller ? $"{caller}:{given}" : given;
}
