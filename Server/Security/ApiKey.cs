using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Tessera.Server.Security;

/// <summary>An API key as its owner has it: <c>tsk_ID_SECRET</c>. The id may be shown anywhere, the secret is 256 random bits and is shown once.</summary>
/// <param name="Id">12 lower-case hexadecimal digits.</param>
/// <param name="Secret">43 characters of base64url.</param>
internal sealed record ApiKey(string Id, string Secret)
{
    /// <summary>Length of an id.</summary>
    public const int IdLength = 12;

    /// <summary>Bytes of a salt.</summary>
    public const int SaltBytes = 16;

    private const string Prefix = "tsk_";
    private const int SecretBytes = 32;
    private const int SecretLength = 43;

    /// <summary>Makes a key.</summary>
    public static ApiKey Create() =>
        new(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(IdLength / 2)), Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(SecretBytes)));

    /// <summary>Takes a key apart; false when it has not the shape of one.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out ApiKey? key)
    {
        key = null;
        if (text.Length != Prefix.Length + IdLength + 1 + SecretLength
            || !text.StartsWith(Prefix, StringComparison.Ordinal)
            || text[Prefix.Length + IdLength] != '_')
        {
            return false;
        }

        key = new ApiKey(text.Substring(Prefix.Length, IdLength), text[^SecretLength..]);
        return true;
    }

    /// <summary>Whether a text has the shape of an id.</summary>
    public static bool IsId(string text) => text.Length == IdLength && text.All(char.IsAsciiHexDigitLower);

    /// <summary>
    /// SHA-256 over salt and secret. A slow hash would protect guessable passwords; 256 random bits cannot be guessed, and each request is checked anew.
    /// </summary>
    public byte[] Hash(ReadOnlySpan<byte> salt) => SHA256.HashData([.. salt, .. Encoding.UTF8.GetBytes(Secret)]);

    /// <inheritdoc/>
    public override string ToString() => $"{Prefix}{Id}_{Secret}";
}
