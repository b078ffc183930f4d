using Tessera.Server.Api.Rest;

namespace Tessera.Server.Api.Page;

/// <summary>The page at <c>/</c>: a playground that shows latents as they stream.</summary>
internal static class PageEndpoints
{
    /// <summary>Nothing but this server's own files, no script or style inside the document, no frame around it.</summary>
    internal const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// <summary>A route for each file, open to all: they hold nothing secret.</summary>
    public static IEnumerable<RestRoute> Routes => PageFile.All.Select(file => RestRoute.Get(file.Path, context => SendAsync(context, file)) with { IsOpen = true });

    private static async Task SendAsync(HttpContext context, PageFile file)
    {
        var headers = context.Response.Headers;
        headers.ETag = file.ETag;
        // A new build is seen at once; an unchanged file is not sent twice.
        headers.CacheControl = "no-cache";
        headers.XContentTypeOptions = "nosniff";
        headers.ContentSecurityPolicy = ContentSecurityPolicy;
        headers["Referrer-Policy"] = "no-referrer";
        if (context.Request.Headers.IfNoneMatch == file.ETag)
        {
            context.Response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }
        context.Response.ContentType = file.ContentType;
        context.Response.ContentLength = file.Bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(file.Bytes, context.RequestAborted).ConfigureAwait(false);
        }
    }
}
