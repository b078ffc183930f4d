using System.ClientModel;
using System.Text;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using Tessera.EndToEnd.Tests.Support;

namespace Tessera.EndToEnd.Tests;

/// <summary>The same prompt through every door: REST plain, server-sent events, gRPC, the official clients.</summary>
public sealed class AnswerTests(ServerFixture fixture) : IClassFixture<ServerFixture>
{
    private const string Generate = "tessera.v1.Inference/Generate";

    [Theory]
    [InlineData("latent")]
    [InlineData("text")]
    [InlineData("none")]
    [InlineData("auto")]
    public async Task SamePrompt_RestStreamAndGrpc_SayTheSame(string mode)
    {
        var plain = Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest(mode)));
        var streamed = Said.FromChunks(await StreamAsync(fixture.RestRequest(mode, stream: true)));
        var grpc = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, fixture.GrpcRequest(mode));

        Assert.Equal(0, grpc.Code);
        Assert.Equal(plain, streamed);
        Assert.Equal(plain, Said.FromGrpc(grpc.Messages));
        Assert.True(plain is { FinishReason: "stop", Answer.Length: > 0 }, plain.ToString());
        Assert.True(mode is not "latent" || plain is { Codes.Length: > 0, Hints.Length: > 0 }, plain.ToString());
        Assert.True(mode is not "text" || plain is { Codes: "", Reasoning.Length: > 0 }, plain.ToString());
        Assert.True(mode is not "none" || plain is { Codes: "", Reasoning: "" }, plain.ToString());
    }

    [Fact]
    public async Task OpenAIClient_PlainAndStreamed_GiveTheAnswerOfRest()
    {
        var expected = Said.FromCompletion(await fixture.Server.CompleteAsync(fixture.RestRequest("auto")));
        var options = new OpenAIClientOptions { Endpoint = new Uri(fixture.Server.Rest, "v1") };
        var client = new OpenAIClient(new ApiKeyCredential("unused"), options).GetChatClient(fixture.Model);

        ChatCompletion plain = await client.CompleteChatAsync([new UserChatMessage(fixture.Prompt)]);
        var (streamed, streamedUsage) = (new StringBuilder(), (ChatTokenUsage?)null);
        await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage(fixture.Prompt)]))
        {
            streamed.AppendJoin("", update.ContentUpdate.Select(part => part.Text));
            streamedUsage = update.Usage ?? streamedUsage;
        }

        Assert.Equal(expected.Answer, plain.Content[0].Text);
        Assert.Equal(expected.Answer, streamed.ToString());
        Assert.Equal(expected.FinishReason, plain.FinishReason.ToString().ToLowerInvariant());
        Assert.Equal(
            (plain.Usage.InputTokenCount, plain.Usage.OutputTokenCount, plain.Usage.OutputTokenDetails.ReasoningTokenCount),
            (streamedUsage!.InputTokenCount, streamedUsage.OutputTokenCount, streamedUsage.OutputTokenDetails.ReasoningTokenCount));
        Assert.StartsWith($"{plain.Usage.InputTokenCount} {plain.Usage.OutputTokenCount} ", expected.Usage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GrpcJs_Latents_ComeWithCodesBeforeTheirHints()
    {
        var call = await NodeCall.RunAsync(fixture.Server.Grpc, Generate, fixture.GrpcRequest("latent"));

        Assert.Equal(["accepted", "finished"], new[] { call.Messages[0], call.Messages[^1] }.Select(message => (string)message["event"]!));
        Assert.Equal(1, call.Messages.Count(message => (string?)message["event"] == "finished"));
        var latents = call.Messages.Where(message => (string?)message["event"] == "latent").Select(message => message["latent"]!).ToList();
        var coded = latents.Where(latent => latent["hint"] is null).ToList();
        var hinted = latents.Where(latent => latent["hint"] is not null).ToList();
        Assert.NotEmpty(coded);
        Assert.Equal(coded.Count, hinted.Count);
        Assert.All(hinted, hint => Assert.True(latents.FindIndex(latent => IsSamePlace(latent, hint)) < latents.IndexOf(hint), hint.ToJsonString()));
        Assert.All(hinted, hint => Assert.InRange((double)hint["confidence"]!, double.Epsilon, 1));
    }

    private static bool IsSamePlace(JsonNode one, JsonNode other) => ((int)one["span"]!, (int)one["index"]!) == ((int)other["span"]!, (int)other["index"]!);

    private async Task<IReadOnlyList<JsonNode>> StreamAsync(JsonObject request)
    {
        using var content = new StringContent(request.ToJsonString(), Encoding.UTF8, "application/json");
        using var response = await fixture.Server.Http.PostAsync("/v1/chat/completions", content);
        var text = await response.Content.ReadAsStringAsync();
        var data = text.Split("\n\n").Where(part => part.StartsWith("data: ", StringComparison.Ordinal)).Select(part => part["data: ".Length..]).ToList();
        Assert.Equal("[DONE]", data[^1]);
        return [.. data.SkipLast(1).Select(part => JsonNode.Parse(part)!)];
    }
}
