using System.Text;

namespace Tessera.Server.Api.Rest.Describing;

/// <summary><c>GET /openapi/v1.json</c>.</summary>
internal sealed class OpenApiEndpoint
{
    private byte[] _document = [];

    /// <summary>Builds the document, once the table of routes is whole.</summary>
    public void Describe(IReadOnlyList<RestRoute> routes) => _document = Encoding.UTF8.GetBytes(OpenApiDocument.Create(routes).ToJsonString());

    /// <summary>Sends it.</summary>
    public async Task HandleAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        context.Response.ContentLength = _document.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(_document, context.RequestAborted).ConfigureAwait(false);
        }
    }
}
