namespace Tessera.Server.Api;

/// <summary>What a client sent, fit to stand in an error message.</summary>
internal static class Echo
{
    private const int MaxLength = 80;

    /// <summary>A text cut to a length that a log line bears.</summary>
    public static string Shorten(string text) => Shorten(text, MaxLength);

    /// <summary>A text cut to a length, with a mark where it was cut.</summary>
    public static string Shorten(string text, int maxLength) => text.Length <= maxLength ? text : string.Concat(text.AsSpan(0, maxLength), "...");
}
