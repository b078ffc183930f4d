using System.Text.Json.Nodes;

namespace Tessera.EndToEnd.Tests.Support;

/// <summary>One server for the tests that leave it as they found it.</summary>
public class ServerFixture : IAsyncLifetime
{
    internal ServerProcess Server { get; private set; } = null!;

    /// <summary>Name of the served model.</summary>
    internal string Model { get; private set; } = "";

    /// <summary>The prompt that the server suggests to its user.</summary>
    internal string Prompt { get; private set; } = "";

    public virtual async ValueTask InitializeAsync()
    {
        Server = await ServerProcess.StartAsync();
        var suggested = Server.GreetingRequest();
        Model = (string)suggested["model"]!;
        Prompt = (string)suggested["messages"]![0]!["content"]!;
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    /// <summary>A REST request for the prompt.</summary>
    internal JsonObject RestRequest(string mode, bool stream = false) => new()
    {
        ["model"] = Model,
        ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = Prompt }),
        ["reasoning"] = new JsonObject { ["mode"] = mode },
        ["stream"] = stream,
        ["stream_options"] = stream ? new JsonObject { ["include_usage"] = true } : null,
    };

    /// <summary>The same as a gRPC request, in protobuf's JSON form.</summary>
    internal JsonObject GrpcRequest(string mode) => new()
    {
        ["model"] = Model,
        ["chat"] = new JsonObject { ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = Prompt }) },
        ["reasoning"] = new JsonObject { ["mode"] = $"REASONING_MODE_{mode.ToUpperInvariant()}" },
    };
}
