namespace Tessera.Server.Tests.Support;

/// <summary>Takes server-sent events apart.</summary>
internal static class ServerEvents
{
    /// <summary>Data of each event; comments are left out, and anything else is a failure.</summary>
    public static IReadOnlyList<string> DataOf(string stream)
    {
        Assert.EndsWith("\n\n", stream, StringComparison.Ordinal);
        var events = stream[..^2].Split("\n\n");
        Assert.All(events, text => Assert.True(text.StartsWith("data: ", StringComparison.Ordinal) || text.StartsWith(": ", StringComparison.Ordinal), text));
        return [.. events.Where(text => text.StartsWith("data: ", StringComparison.Ordinal)).Select(text => text["data: ".Length..])];
    }
}
