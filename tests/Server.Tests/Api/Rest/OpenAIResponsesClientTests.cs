#pragma warning disable OPENAI001 // The responses client is marked as evolving by its makers.
using System.ClientModel;
using System.Text;
using OpenAI;
using OpenAI.Responses;
using Tessera.Server.Tests.Support;

namespace Tessera.Server.Tests.Api.Rest;

/// <summary>The official OpenAI client for .NET on the responses route, unchanged.</summary>
public sealed class OpenAIResponsesClientTests : IAsyncLifetime
{
    private TestServer _server = null!;
    private ResponsesClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await TestServer.StartAsync();
        _client = new ResponsesClient(new ApiKeyCredential("unused"), new OpenAIClientOptions { Endpoint = new Uri(_server.Host.RestAddress, "v1") });
    }

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Fact]
    public async Task CreateResponse_Plain_GivesTextReasoningAndUsage()
    {
        ResponseResult response = await _client.CreateResponseAsync(NewOptions(ResponseReasoningEffortLevel.High));

        Assert.Equal("True", response.GetOutputText());
        Assert.Equal(ResponseStatus.Completed, response.Status);
        var reasoning = Assert.Single(response.OutputItems.OfType<ReasoningResponseItem>());
        Assert.Empty(reasoning.SummaryParts);
        Assert.Equal(response.Usage.TotalTokenCount, response.Usage.InputTokenCount + response.Usage.OutputTokenCount);
        Assert.True(response.Usage.OutputTokenDetails.ReasoningTokenCount > 0);
    }

    [Fact]
    public async Task CreateResponse_LatentsWithSummary_GivesTheHintsAsSummary()
    {
        var options = NewOptions(ResponseReasoningEffortLevel.Low);
        options.ReasoningOptions.ReasoningSummaryVerbosity = ResponseReasoningSummaryVerbosity.Auto;

        ResponseResult response = await _client.CreateResponseAsync(options);

        Assert.Equal("hint 0 hint 1", Assert.Single(response.OutputItems.OfType<ReasoningResponseItem>()).GetSummaryText());
    }

    [Fact]
    public async Task CreateResponseStreaming_Stream_GivesTheSameTextAndOneEnd()
    {
        var options = NewOptions(ResponseReasoningEffortLevel.Medium);
        options.StreamingEnabled = true;
        var text = new StringBuilder();
        var numbers = new List<int>();
        ResponseResult? final = null;
        await foreach (var update in _client.CreateResponseStreamingAsync(options))
        {
            numbers.Add(update.SequenceNumber);
            text.Append((update as StreamingResponseOutputTextDeltaUpdate)?.Delta);
            final = (update as StreamingResponseCompletedUpdate)?.Response ?? final;
        }

        Assert.Equal("True", text.ToString());
        Assert.Equal("True", final!.GetOutputText());
        Assert.Equal(Enumerable.Range(0, numbers.Count), numbers);
    }

    [Fact]
    public async Task CreateResponse_StoredOutput_ThrowsWithTheFieldsName()
    {
        var options = NewOptions(ResponseReasoningEffortLevel.Low);
        options.StoredOutputEnabled = true;

        var failure = await Assert.ThrowsAsync<ClientResultException>(() => _client.CreateResponseAsync(options));

        Assert.Equal(400, failure.Status);
        Assert.Contains("store", failure.Message, StringComparison.Ordinal);
    }

    private static CreateResponseOptions NewOptions(ResponseReasoningEffortLevel effort) => new("tiny", [ResponseItem.CreateUserMessageItem(TestServer.Prompt)])
    {
        ReasoningOptions = new ResponseReasoningOptions { ReasoningEffortLevel = effort },
    };
}
