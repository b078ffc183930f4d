using System.Text.Json.Nodes;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>A script around an official JavaScript client that plays scenarios and prints what it saw in each.</summary>
internal static class NodeScript
{
    /// <summary>Runs a script to its end.</summary>
    /// <param name="script">Its file in the clients folder.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it saw, by scenario.</returns>
    public static async Task<IReadOnlyDictionary<string, JsonNode>> RunAsync(string script, params string[] arguments)
    {
        await using var node = ChildProcess.Start("node", [Path.Combine(Path.GetDirectoryName(Repository.NodeClient)!, script), .. arguments]);
        var saw = new Dictionary<string, JsonNode>();
        while (await node.ReadLineAsync() is { } line)
        {
            var printed = JsonNode.Parse(line)!;
            saw.Add((string)printed["name"]!, printed["saw"]!);
        }

        var exitCode = await node.WaitForExitAsync();
        Assert.True(exitCode == 0, $"{script} ended with {exitCode} after {string.Join(", ", saw.Keys)}:\n{string.Join('\n', node.Errors)}");
        return saw;
    }
}
