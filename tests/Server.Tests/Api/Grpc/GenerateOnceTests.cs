using Tessera.Protos.Grpc;
using Tessera.Protos.V1;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Grpc;

public sealed class GenerateOnceTests
{
    private const string GenerateOnce = "/tessera.v1.Inference/GenerateOnce";

    [Theory]
    [InlineData(ReasoningMode.Auto)]
    [InlineData(ReasoningMode.Latent)]
    [InlineData(ReasoningMode.Text)]
    [InlineData(ReasoningMode.None)]
    public async Task GenerateOnce_AnyMode_IsTheStreamInOneMessage(ReasoningMode mode)
    {
        await using var server = await TestServer.StartAsync();
        var request = GrpcCalls.NewRequest(mode);
        request.Logprobs = 1;
        request.RequestId = "one";
        var events = await server.GenerateAsync(request);

        var response = await CallAsync(server, request);

        Assert.Equal(events[0].Accepted, response.Accepted);
        var choice = Assert.Single(response.Choices);
        Assert.Equal(string.Concat(events.Select(e => e.Answer?.Text)), choice.Answer.Text);
        Assert.Equal(string.Concat(events.Select(e => e.Reasoning?.Text)), choice.Reasoning?.Text ?? "");
        Assert.Equal(events.SelectMany(e => e.Answer?.TokenIds ?? []), choice.Answer.TokenIds);
        Assert.Equal(events.SelectMany(e => e.Answer?.Logprobs ?? []), choice.Answer.Logprobs);
        Assert.Equal(events.Where(e => e.Latent is { HasHint: false }).SelectMany(e => e.Latent.Codes), choice.Spans.SelectMany(span => span.Codes));
        Assert.Equal(events.Where(e => e.Latent is { HasHint: true }).Select(e => e.Latent.Hint), choice.Spans.SelectMany(span => span.Hints).Select(hint => hint.Text));
        Assert.Equal(events[^1].Finished.Usage.CompletionTokens, response.Finished.Usage.CompletionTokens);
        Assert.Equal((response.Finished.Usage, response.Finished.Reason), (choice.Usage, choice.Reason));
    }

    [Fact]
    public async Task GenerateOnce_PromptIds_AreThePromptAsText()
    {
        await using var server = await TestServer.StartAsync();
        var ids = server.Package.Tokenizer.Encode(TestServer.Prompt);

        var response = await CallAsync(server, new GenerateRequest { PromptIds = new() { Ids = { ids.Select(id => (uint)id) } } });

        Assert.Equal("True", response.Choices[0].Answer.Text);
        Assert.Equal((uint)ids.Length + 1, response.Accepted.PromptTokens);
    }

    [Fact]
    public async Task GenerateOnce_IdOutsideTheVocabulary_IsNamed()
    {
        await using var server = await TestServer.StartAsync();
        var request = new GenerateRequest { PromptIds = new() { Ids = { 1, uint.MaxValue } }, StopTokenIds = { uint.MaxValue } };
        request.Sampling = new() { LogitBias = { [uint.MaxValue] = 1 } };

        var error = await Assert.ThrowsAsync<GrpcStatusException>(() => CallAsync(server, request));

        Assert.Equal(GrpcStatusCode.InvalidArgument, error.Code);
        Assert.Equal(
            ["prompt_ids.ids[1]", "sampling.logit_bias", "stop_token_ids[0]"],
            StatusDetails.Of(error).Violations.Select(violation => violation.Field).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Tokenize_AnswerOverTheLargestMessage_IsResourceExhausted()
    {
        await using var server = await TestServer.StartAsync(new ServerOptions { MaxBodyBytes = 2048 });
        using var client = server.NewClient();

        var error = await Assert.ThrowsAsync<GrpcStatusException>(
            () => client.UnaryAsync("/tessera.v1.Inference/Tokenize", new TokenizeRequest { Text = new string('a', 1000) }, TokenizeResponse.Parser));

        Assert.Equal(GrpcStatusCode.ResourceExhausted, error.Code);
        Assert.Contains("at most 2048 are allowed", error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateOnce_DeadlinePasses_FreesTheSlot()
    {
        await using var server = await TestServer.StartAsync();
        using var gate = new StepGate();
        server.Runner.BeforeRun = _ => gate.Pass();

        var error = await Assert.ThrowsAsync<GrpcStatusException>(
            () => CallAsync(server, GrpcCalls.NewRequest(), new GrpcCallOptions { Deadline = TimeSpan.FromMilliseconds(300) }));

        Assert.Equal(GrpcStatusCode.DeadlineExceeded, error.Code);
        gate.Open();
        await server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
    }

    [Fact]
    public async Task AnyCall_RequestIdInMetadata_IsEchoedAndTheMessagesOwnWins()
    {
        await using var server = await TestServer.StartAsync();
        using var client = server.NewClient();
        var options = new GrpcCallOptions { Metadata = [new("x-request-id", "outer")] };

        using var call = await client.StartAsync(GenerateOnce, GrpcCalls.NewRequest(), GenerateResponse.Parser, options);
        Assert.Equal("outer", (await call.ReadAsync())!.Accepted.RequestId);
        Assert.Equal(["outer"], call.Headers.GetValues("x-request-id"));

        var request = GrpcCalls.NewRequest();
        request.RequestId = "inner";
        Assert.Equal("inner", (await client.UnaryAsync(GenerateOnce, request, GenerateResponse.Parser, options)).Accepted.RequestId);
    }

    private static async Task<GenerateResponse> CallAsync(TestServer server, GenerateRequest request, GrpcCallOptions? options = null)
    {
        using var client = server.NewClient();
        return await client.UnaryAsync(GenerateOnce, request, GenerateResponse.Parser, options);
    }
}
