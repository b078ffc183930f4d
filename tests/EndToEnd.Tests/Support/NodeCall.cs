using System.Text.Json.Nodes;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>One call made with the official JavaScript client.</summary>
/// <param name="Messages">Response messages in order.</param>
/// <param name="Code">Status number.</param>
/// <param name="Details">Status message.</param>
internal sealed record NodeCall(IReadOnlyList<JsonNode> Messages, int Code, string Details)
{
    /// <summary>Makes a call.</summary>
    /// <param name="server">Address of the gRPC port.</param>
    /// <param name="method">Service and method, for example <c>grpc.health.v1.Health/Check</c>.</param>
    /// <param name="request">The request message as JSON.</param>
    /// <param name="options">Options of generate.mjs.</param>
    public static async Task<NodeCall> RunAsync(Uri server, string method, JsonObject request, JsonObject? options = null)
    {
        await using var node = ChildProcess.Start(
            "node", Repository.NodeClient, server.Authority, method, request.ToJsonString(), (options ?? []).ToJsonString());
        var messages = new List<JsonNode>();
        JsonNode? status = null;
        while (await node.ReadLineAsync() is { } line)
        {
            var printed = JsonNode.Parse(line)!;
            messages.AddRange(printed["message"] is { } message ? [message] : []);
            status = printed["status"] ?? status;
        }

        Assert.True(await node.WaitForExitAsync() == 0 && status is not null, string.Join('\n', node.Errors));
        return new NodeCall(messages, (int)status!["code"]!, (string)status["details"]!);
    }
}
