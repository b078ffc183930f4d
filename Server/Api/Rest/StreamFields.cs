using System.Text.Json;

namespace Tessera.Server.Api.Rest;

/// <summary><c>stream</c> and <c>stream_options</c> of chat completions and completions.</summary>
internal sealed record StreamFields(bool Stream, bool IncludeUsage, bool ContinuousUsage)
{
    /// <summary>Reads both.</summary>
    public static StreamFields Read(JsonElement root, FieldReader fields)
    {
        var stream = fields.Boolean(root, "stream") ?? false;
        if (fields.Object(root, "stream_options") is not { } options)
        {
            return new(stream, false, false);
        }
        if (!stream)
        {
            fields.Report("stream_options", "expected only together with \"stream\": true, found without it");
        }
        if (fields.Boolean(options, "include_obfuscation", "stream_options.include_obfuscation") is true)
        {
            fields.Report("stream_options.include_obfuscation", "is not supported by this server with any value but false, found true");
        }
        return new(
            stream,
            fields.Boolean(options, "include_usage", "stream_options.include_usage") ?? false,
            fields.Boolean(options, "continuous_usage_stats", "stream_options.continuous_usage_stats") ?? false);
    }
}
