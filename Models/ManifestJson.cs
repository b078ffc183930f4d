using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Tessera.Models.Json;

namespace Tessera.Models;

/// <summary>Reads and writes <c>tessera.json</c>: snake_case keys in the order of the records, two spaces, line feeds.</summary>
public static class ManifestJson
{
    /// <summary>A manifest larger than this is refused unread.</summary>
    public const int MaxBytes = 4 * 1024 * 1024;

    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
        RespectNullableAnnotations = true,
        WriteIndented = true,
        IndentSize = 2,
        NewLine = "\n",
        // The file is read by people and never put into a page: keep "<think>" legible.
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Reads a manifest and checks everything that can be checked without the package's other files.</summary>
    /// <param name="json">The document.</param>
    /// <exception cref="ModelPackageException">Names the JSON path, what was expected and what was found.</exception>
    public static Manifest Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        return Parse(Encoding.UTF8.GetBytes(json));
    }

    /// <summary>Reads a manifest and checks everything that can be checked without the package's other files.</summary>
    /// <param name="utf8">The document in UTF-8.</param>
    /// <exception cref="ModelPackageException">Names the JSON path, what was expected and what was found.</exception>
    public static Manifest Parse(ReadOnlyMemory<byte> utf8)
    {
        const string File = ModelPackage.ManifestFileName;
        if (utf8.Length > MaxBytes)
            throw new ModelPackageException(File, "bytes", $"at most {MaxBytes}", $"{utf8.Length}");
        var document = JsonField.Parse(File, utf8);
        // The format comes first: a later format may well have other keys.
        var format = document.Required("format").AsInt();
        if (format != Manifest.CurrentFormat)
            throw new ModelPackageException(File, "$.format", $"{Manifest.CurrentFormat}", $"{format}");
        ManifestShape.Check(document, typeof(Manifest), Options);
        var manifest = document.Element.Deserialize<Manifest>(Options)!;
        ManifestRules.Check(manifest);
        return manifest;
    }

    /// <summary>The document of a manifest, ending in a line feed.</summary>
    public static string Write(Manifest manifest)
    {
        ArgumentNullException.ThrowIfNull(manifest);
        return JsonSerializer.Serialize(manifest, Options) + "\n";
    }
}
