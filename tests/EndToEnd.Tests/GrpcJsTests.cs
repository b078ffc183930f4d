using System.Text.Json.Nodes;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.EndToEnd.Tests;

/// <summary>How calls of the official JavaScript client end when they do not end well.</summary>
public sealed class GrpcJsTests(ServerFixture fixture) : IClassFixture<ServerFixture>
{
    private const string Generate = "tessera.v1.Inference/Generate";

    [Theory]
    [InlineData("")]
    [InlineData("tessera.v1.Inference")]
    public async Task HealthCheck_KnownService_IsServing(string service)
    {
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, "grpc.health.v1.Health/Check", new JsonObject { ["service"] = service });

        Assert.Equal((0, "SERVING"), (call.Code, (string?)Assert.Single(call.Messages)["status"]));
    }

    [Fact]
    public async Task HealthCheck_UnknownService_IsNotFound()
    {
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, "grpc.health.v1.Health/Check", new JsonObject { ["service"] = "nobody" });

        Assert.Equal((5, "service: expected '' or 'tessera.v1.Inference', found 'nobody'"), (call.Code, call.Details));
    }

    [Fact]
    public async Task Generate_BadField_IsInvalidArgumentAndNamesIt()
    {
        var request = fixture.GrpcRequest("latent");
        request["sampling"] = new JsonObject { ["temperature"] = -1 };

        var call = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, request);

        Assert.Equal(3, call.Code);
        Assert.StartsWith("sampling.temperature: ", call.Details, StringComparison.Ordinal);
        Assert.Empty(call.Messages);
    }

    [Fact]
    public async Task Generate_NoInput_NamesPromptAndChat()
    {
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, []);

        Assert.Equal(3, call.Code);
        Assert.Contains("prompt", call.Details, StringComparison.Ordinal);
        Assert.Contains("chat", call.Details, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_UnknownMethod_IsUnimplemented()
    {
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, "tessera.v1.Inference/Nothing", []);

        Assert.Equal((12, "unknown method 'Nothing' of service tessera.v1.Inference"), (call.Code, call.Details));
    }

    [Fact]
    public async Task Generate_DeadlinePasses_IsDeadlineExceededAndTheServerGoesOn()
    {
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, fixture.GrpcRequest("text"), new JsonObject { ["deadlineMs"] = 1 });

        Assert.Equal(4, call.Code);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Generate_ClientCancelsMidStream_IsCancelledAndTheServerGoesOn()
    {
        // Long: a short response can be over, status and all, before a busy client has read its first message.
        var request = fixture.GrpcRequest("text");
        request["max_tokens"] = 2000;
        request["sampling"] = new JsonObject { ["min_tokens"] = 2000 };
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, request, new JsonObject { ["cancelAfterMessages"] = 1 });

        Assert.Equal(1, call.Code);
        Assert.Equal("accepted", (string?)call.Messages[0]["event"]);
        await AssertServesAsync();
    }

    private async Task AssertServesAsync()
    {
        await fixture.Server.WaitUntilIdleAsync();
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, fixture.GrpcRequest("latent"));
        Assert.Equal((0, "finished"), (call.Code, (string?)call.Messages[^1]["event"]));
    }
}
