using System.ClientModel;
using System.Text;
using OpenAI;
using OpenAI.Chat;
using Tessera.Server.Tests.Support;
using Tessera.Testing;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>The official OpenAI client for .NET, unchanged.</summary>
public sealed class OpenAIClientTests : IAsyncLifetime
{
    private TestServer _server = null!;
    private OpenAIClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync();
        _client = new OpenAIClient(new ApiKeyCredential("unused"), new OpenAIClientOptions { Endpoint = new Uri(_server.Host.RestAddress, "v1") });
    }

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task CompleteChat_Plain_GivesAnswerAndUsage()
    {
        ChatCompletion completion = await _client.GetChatClient("tiny").CompleteChatAsync([new SystemChatMessage("Tom."), new UserChatMessage(TestServer.Prompt)]);

        Assert.Equal("True", completion.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.Equal(7, completion.Usage.OutputTokenCount);
        Assert.Equal(5, completion.Usage.OutputTokenDetails.ReasoningTokenCount);
    }

    [Fact]
    public async Task CompleteChatStreaming_Stream_GivesTheSameAnswerAndUsage()
    {
        var text = new StringBuilder();
        ChatFinishReason? reason = null;
        ChatTokenUsage? usage = null;
        await foreach (var update in _client.GetChatClient("tiny").CompleteChatStreamingAsync([new UserChatMessage(TestServer.Prompt)]))
        {
            text.AppendJoin("", update.ContentUpdate.Select(part => part.Text));
            reason = update.FinishReason ?? reason;
            usage = update.Usage ?? usage;
        }

        Assert.Equal("True", text.ToString());
        Assert.Equal(ChatFinishReason.Stop, reason);
        Assert.Equal(7, usage!.OutputTokenCount);
        Assert.Equal(5, usage.OutputTokenDetails.ReasoningTokenCount);
    }

    [Fact]
    public async Task CompleteChat_BadParameter_ThrowsWithTheServersMessage()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(
            () => _client.GetChatClient("tiny").CompleteChatAsync([new UserChatMessage(TestServer.Prompt)], new ChatCompletionOptions { Temperature = 9 }));

        Assert.Equal(400, failure.Status);
        Assert.Contains("temperature", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChat_LogProbabilities_AreThoseOfTheAnswer()
    {
        var options = new ChatCompletionOptions { IncludeLogProbabilities = true, TopLogProbabilityCount = 2 };

        ChatCompletion completion = await _client.GetChatClient("tiny").CompleteChatAsync([new UserChatMessage(TestServer.Prompt)], options);

        var token = Assert.Single(completion.ContentTokenLogProbabilities);
        Assert.Equal(" True", token.Token);
        Assert.Equal(2, token.TopLogProbabilities.Count);
        Assert.Equal(" True"u8.ToArray(), token.Utf8Bytes!.Value.ToArray());
    }

    [Fact]
    public async Task CompleteChatStreaming_Cancelled_FreesTheSlot()
    {
        using var gate = new StepGate();
        _server.Runner.BeforeRun = _ => gate.Pass();
        using var cancel = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var _ in _client.GetChatClient("tiny").CompleteChatStreamingAsync([new UserChatMessage(TestServer.Prompt)], cancellationToken: cancel.Token))
            {
                // The stream opens before anything is generated.
                await cancel.CancelAsync();
            }
        });

        await _server.WaitForLogAsync("abandoned");
        gate.Open();
        await _server.WaitForStatusAsync(status => status is { RunningCount: 0, WaitingCount: 0, KvPositionsInUse: 0 });
    }

    [Fact]
    public async Task GetModels_List_HasTheServedModel()
    {
        var models = await _client.GetOpenAIModelClient().GetModelsAsync();

        Assert.Equal("tiny", Assert.Single(models.Value).Id);
    }
}
