using System.Reflection;
using System.Security.Cryptography;

namespace Tessera.Server.Api.Page;

/// <summary>One file of the page, embedded in the assembly.</summary>
/// <param name="Path">The path it is served at.</param>
/// <param name="ContentType">Its media type.</param>
/// <param name="Bytes">Its content.</param>
/// <param name="ETag">Changes with the content.</param>
internal sealed record PageFile(string Path, string ContentType, ReadOnlyMemory<byte> Bytes, string ETag)
{
    private const string ResourcePrefix = "wwwroot/";
    private const string IndexName = "index.html";

    /// <summary>Every file of the page: the document at <c>/</c>, what it needs under <c>/page/</c>. They hold nothing secret: a key is typed in there.</summary>
    public static IReadOnlyList<PageFile> All { get; } =
        [.. typeof(PageFile).Assembly.GetManifestResourceNames().Where(name => name.StartsWith(ResourcePrefix, StringComparison.Ordinal)).Select(Read)];

    private static PageFile Read(string resource)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        var name = resource[ResourcePrefix.Length..];
        return new(name == IndexName ? "/" : $"/page/{name}", TypeOf(name), bytes, $"\"{Convert.ToHexStringLower(SHA256.HashData(bytes)[..8])}\"");
    }

    private static string TypeOf(string name) => System.IO.Path.GetExtension(name) switch
    {
        ".html" => "text/html; charset=utf-8",
        ".css" => "text/css; charset=utf-8",
        ".js" => "text/javascript; charset=utf-8",
        ".json" => "application/json; charset=utf-8",
        ".svg" => "image/svg+xml",
        _ => throw new InvalidOperationException($"wwwroot/{name}: no media type is known for this kind of file."),
    };
}
