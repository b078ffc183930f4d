using System.Text;

namespace Tessera.Protos.Grpc;

/// <summary>Percent-encoding of <c>grpc-message</c>: UTF-8 bytes outside space..~ and the percent sign become <c>%XX</c>.</summary>
public static class GrpcMessageEncoding
{
    private const string Hex = "0123456789ABCDEF";

    /// <summary>Header value of a sentence.</summary>
    public static string Encode(string message)
    {
        var encoded = new StringBuilder(message.Length);
        foreach (var b in Encoding.UTF8.GetBytes(message))
        {
            if (b is >= 0x20 and <= 0x7E and not (byte)'%')
            {
                encoded.Append((char)b);
            }
            else
            {
                encoded.Append('%').Append(Hex[b >> 4]).Append(Hex[b & 0xF]);
            }
        }

        return encoded.ToString();
    }

    /// <summary>Sentence of a header value; never fails: a <c>%</c> without two hex digits stays, bytes that are no UTF-8 become U+FFFD.</summary>
    public static string Decode(string value)
    {
        if (!value.Contains('%', StringComparison.Ordinal))
        {
            return value;
        }

        var bytes = new List<byte>(value.Length);
        for (var i = 0; i < value.Length; i++)
        {
            if (value[i] == '%' && i + 2 < value.Length && char.IsAsciiHexDigit(value[i + 1]) && char.IsAsciiHexDigit(value[i + 2]))
            {
                bytes.Add(Convert.FromHexString(value.AsSpan(i + 1, 2))[0]);
                i += 2;
            }
            else if (value[i] < 0x80)
            {
                bytes.Add((byte)value[i]);
            }
            else
            {
                bytes.AddRange(Encoding.UTF8.GetBytes([value[i]]));
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }
}
