using System.Globalization;

namespace Tessera.LoadTests.SelfTest;

/// <summary>A load with known times: every stream gets its tokens evenly spaced, and the streams take turns.</summary>
/// <param name="Streams">Streams at once.</param>
/// <param name="TokensPerSecond">Tokens per second over all streams.</param>
/// <param name="TokensPerStream">Tokens of each stream.</param>
public sealed record SelfTestPlan(int Streams, double TokensPerSecond, int TokensPerStream)
{
    /// <summary>Length of the load.</summary>
    public TimeSpan Duration => TimeSpan.FromSeconds(Streams * TokensPerStream / TokensPerSecond);

    /// <summary>When a token is due, from the start.</summary>
    public TimeSpan Due(int stream, int token) => TimeSpan.FromSeconds((((double)token * Streams) + stream) / TokensPerSecond);

    /// <summary>The prompt that asks the paced server for a stream of this plan.</summary>
    public string Prompt(int stream) =>
        string.Create(CultureInfo.InvariantCulture, $"stream {stream} of {Streams} with {TokensPerStream} tokens at {TokensPerSecond:R} per second");

    /// <summary>Reads a prompt that <see cref="Prompt"/> made out of a request's body.</summary>
    /// <exception cref="FormatException">There is none in it.</exception>
    public static (SelfTestPlan Plan, int Stream) Read(string body)
    {
        ArgumentNullException.ThrowIfNull(body);
        var words = body[Math.Max(0, body.IndexOf("stream ", StringComparison.Ordinal))..].Split(' ', 10);
        return words is ["stream", var stream, "of", var streams, "with", var tokens, "tokens", "at", var rate, ..]
            ? (new SelfTestPlan(Whole(streams), double.Parse(rate, CultureInfo.InvariantCulture), Whole(tokens)), Whole(stream))
            : throw new FormatException("the body does not ask for a stream");
    }

    private static int Whole(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
