namespace Tessera.Server.Api.Page;

/// <summary>The page at <c>/</c>: a playground that shows latents as they stream.</summary>
internal static class PageEndpoints
{
    /// <summary>Nothing but this server's own files, no script or style inside the document, no frame around it.</summary>
    internal const string ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly string[] Readable = ["GET", "HEAD"];

    /// <summary>Maps a route for each file.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        foreach (var file in PageFile.All)
        {
            routes.MapMethods(file.Path, Readable, context => SendAsync(context, file));
        }
    }

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
