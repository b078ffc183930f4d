namespace Tessera.Server.Api;

/// <summary>The id under which a request is logged and answered: the one that its client chose, or a new one.</summary>
internal static class RequestIds
{
    private const string Header = "X-Request-Id";
    private const int MaxLength = 128;

    /// <summary>Gives the request its id and echoes it.</summary>
    /// <returns>What is wrong with the id that the client chose; the request has a new one then.</returns>
    public static ApiFailure? Take(HttpContext context)
    {
        var given = context.Request.Headers[Header].ToString();
        var valid = given.Length <= MaxLength && given.All(c => c is > ' ' and <= '~');
        context.TraceIdentifier = given.Length > 0 && valid ? given : Guid.CreateVersion7().ToString("n");
        context.Response.Headers[Header] = context.TraceIdentifier;
        const string Problem = $"{Header}: expected at most 128 visible ASCII characters, found other ones or more";
        return valid ? null : new(ErrorKind.InvalidArgument, Problem, Header);
    }
}
