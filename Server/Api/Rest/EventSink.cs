using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Tessera.Server.Api.Rest;

/// <summary>Writes server-sent events into a response; what was written leaves with the next flush.</summary>
internal sealed class EventSink(IBufferWriter<byte> output)
{
    /// <summary>Adds an event.</summary>
    /// <param name="body">Its data.</param>
    /// <param name="type">Type of the data.</param>
    /// <param name="name">Its event type; null for none.</param>
    public void Send<T>(T body, JsonTypeInfo<T> type, string? name = null)
    {
        if (name is not null)
        {
            output.Write(Encoding.ASCII.GetBytes($"event: {name}\n"));
        }
        output.Write("data: "u8);
        // Serialised JSON has no line breaks, so one data line holds it.
        output.Write(JsonSerializer.SerializeToUtf8Bytes(body, type));
        output.Write("\n\n"u8);
    }

    /// <summary>Adds the mark that ends a stream which ended well.</summary>
    public void SendDone() => output.Write("data: [DONE]\n\n"u8);

    /// <summary>Adds a comment, which clients pass over.</summary>
    public void SendKeepAlive() => output.Write(": keep-alive\n\n"u8);
}
