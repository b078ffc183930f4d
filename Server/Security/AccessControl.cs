using Tessera.Server.Api;
using Tessera.Server.Telemetry;

namespace Tessera.Server.Security;

/// <summary>Marks a route that anybody may call. Every other route needs a key, unless the server is open.</summary>
internal sealed class OpenRoute
{
    /// <summary>The mark.</summary>
    public static readonly OpenRoute Instance = new();
}

/// <summary>Decides who may go on, for both fronts.</summary>
internal sealed class AccessControl(KeyStore keys)
{
    private const string Scheme = "Bearer ";

    /// <summary>Finds out who sends a request and whether the caller's rates allow it.</summary>
    /// <param name="context">Gets the caller as a feature.</param>
    /// <param name="isMetered">Whether it counts against the caller's rates; what only reads does not.</param>
    /// <returns>Why the request must not go on; null when it may.</returns>
    public ApiFailure? Check(HttpContext context, bool isMetered)
    {
        var given = context.Request.Headers.Authorization.ToString();
        if (Identify(given) is not { } caller)
        {
            var found = given.Length == 0 ? "none" : "one that is unknown, expired or revoked";
            return new(ErrorKind.Unauthenticated, $"Authorization: expected 'Bearer' and a valid API key, found {found}");
        }

        context.Features.Set(caller);
        RequestTelemetry.Of(context).Caller = caller;
        return isMetered && caller.Limits.TakeRequest() is { } refusal
            ? new(ErrorKind.RateLimited, $"the limit of {refusal.PerMinute} {refusal.What} per minute is reached; try again later", RetryAfter: refusal.RetryAfter)
            : null;
    }

    private CallerIdentity? Identify(string authorization) =>
        keys.IsOpen ? keys.Anonymous
        : authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) ? keys.Authenticate(authorization[Scheme.Length..].Trim())
        : null;
}
